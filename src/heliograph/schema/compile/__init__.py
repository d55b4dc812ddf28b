"""Compile an event class into its schema, once, when it is registered.

- `annotations` turns the annotation of a field into a `Type` and an `Attribute`.
- `datasette_events` has the declarations that Datasette's core events do not make themselves.
- `event_class` reads the class as a whole, checks all that its author declared, and builds the `EventSchema`.

A mistake in a class is reported here, by a `SchemaError` that names the class and the fix, and never by an event.
"""
