"""Schemas: the contract of each event class, compiled when it is registered, and used by everything that reads events.

Low to high:

- `model` is data: frozen dataclasses for types, fields, wire attributes and the whole contract (`model.event.EventSchema`).
- `conventions` has the names and types of OpenTelemetry's semantic conventions.
- `read` reads events with a schema. `read.event.EventReader` is the entrance. `read/__init__.py` explains the function that
  is generated for each class, why nothing there raises, and where privacy is enforced.
- `compile` makes a schema from an event class, and rejects a class that contradicts itself.
- `registry` keeps the schemas and readers of one host.
- `export` writes schemas in other formats; `drafts` writes event classes from recorded events or foreign schemas; `gate`
  compares schemas with the ones in a lock file.

A schema is data, and reading is code that imports the data, never the reverse. So exporters and the gate do not load the
code generator, and can be tested without an event.

An event passes through these steps::

    class   → compile.event_class.compile_schema → EventSchema → EventReader          once, when it is registered
    event   → EventReader.attributes → Attributes, Violations                         for each event
            → EventReader.body_text  → the body
            → EventReader.protected_properties → the quarantine                       for invalid events only

How to add a value type, such as a new class that becomes text:

1. `heliograph.values.scalars`: add the class to ``_WRITTEN_BY_MSGSPEC``, if msgspec writes it, or else a function to ``EXACT``. A class
   whose subclasses count, too, gets a converter in `heliograph.values.standard_library`. Add a line to the table in the docstring of
   `heliograph.values.forms`, and run ``make docs``.
2. `heliograph.schema.model.types`: add a `Format` with its pattern, if the new value is text. Only a value that is not like
   any other needs a new class in the union `Type`; mypy then lists every ``match`` that lacks it.
3. `heliograph.schema.compile.texts`: add the class to ``_FORMATS``, or to ``_PLAIN`` if its text has no format. A class whose values are
   not text gets a case in ``_TypeBuilder._class`` of `heliograph.schema.compile.annotations`. Values of a class without one may be anything.
4. `heliograph.schema.read.validation` checks a format by its pattern, without a change. A new class needs a case.
5. `heliograph.schema.read.generated` is fast for a ``StringType`` without a change. A new class may have no common case.
6. `heliograph.schema.export.example` needs an example of a new format. The other exporters need a change only for a new
   class. `heliograph.schema.drafts.from_events` may learn to recognise the format in recorded events.
7. Tests: add the value to ``FORMS`` in ``tests/values/test_forms.py`` and the annotation with values to ``FITTING`` in
   ``tests/schema/typed_values.py``. Property tests then compare validation with the JSON Schema, the two ways to read an
   event, and the gate.
"""
