"""Compile an event class into its schema, once, when it is registered.

- `annotations` turns the annotation of a field into a `Type` and an `Attribute`.
- `datasette_events` has the declarations that Datasette's core events do not make themselves.
- `event_fields` reads the fields of an event class, and checks what their author declared.
- `event_class` checks the class as a whole, and builds the `EventSchema`.
- `derived` makes the schemas of unregistered subclasses and of aliases from those of registered classes.

A mistake in a class is reported here, by a `SchemaError` that names the class and the fix, and never by an event.
"""
