"""Read events with a schema: attributes, violations, protected properties, coverage.

`event.EventReader` is the entry point. It reads each field of an event in one of three ways:

1. `generated` writes one Python function per event class, when the class is registered. The function knows only
   the common case: a value of exactly the declared class and within its bounds. It reads every tracked event first.
2. `generated.odd_values` makes one more function for a field, when the first value comes that is legal but not common, such as
   a dict in the place of an object.
3. `field` reads one field, and handles every value there can be. It is asked for what the generated functions refuse, or if
   they raise an exception.

**Why no function raises**: telemetry must not change the program that it observes. Some code of the program runs while an event
is read: a property of the event's class, the `tzinfo` of a time, a registered converter. It may raise anything. Each place that
calls such code catches the exception and exports the field as its class name, or not at all, so that an odd value costs neither
the event nor its other fields.

**Privacy is enforced once**, where the form of a value is made: `heliograph.values.forms` applies the privacy that classes
inside of the value declare, and `field.FieldReader.protect` applies that of the field itself. Everything downstream (attributes, body,
log record, span event, quarantine) sees only the result. `validation` sees the unprotected form, because a masked value
could not be checked, and reports paths, never values.

The other modules: `typed_attributes` adds forms to attributes by their declared type; `validation` compares forms with types;
`stored_properties` reads events that come back from the quarantine, whose values are forms already; `coverage` records which declared
attributes were seen.

**Threads.** Any thread may read events at the same time as others. After its construction, a reader changes only bounded caches (the
readers of aliases, the names of attributes), by single operations on dicts, and its `coverage.CoverageRecorder`, whose docstring
describes the effect of concurrent calls.
"""
