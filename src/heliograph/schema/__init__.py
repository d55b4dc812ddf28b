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

CONTRIBUTING.md says, step by step, how to add a value type.
"""
