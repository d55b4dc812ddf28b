"""Schemas: the contract of each event class, compiled when it is registered, and used by everything that reads events.

A schema is data, and reading is code that imports the data, never the reverse. So exporters and the gate do not load the
code generator, and can be tested without an event.

An event passes through these steps::

    class   → compile.event_class.compile_schema → EventSchema → EventReader          once, when it is registered
    event   → EventReader.attributes → Attributes, Violations                         for each event
            → EventReader.body_text  → the body
            → EventReader.protected_properties → the quarantine                       for invalid events only

`read/__init__.py` explains the ways in which events are read, why nothing there raises, and where privacy is enforced;
`read/generated/__init__.py` explains the function that is generated for each class.
CONTRIBUTING.md says, step by step, how to add a value type.
"""
