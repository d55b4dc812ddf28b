"""The model of an event class: frozen data that every other part of the schema reads.

- `types` has the types of values and `FieldSchema`, one property of an event.
- `message` has the parsed template of an event's body.
- `wire_attributes` derives the attributes that the fields become on the wire.
- `event` has `EventSchema`, the contract of one event class, which holds all of it.

Nothing here reads an event, and nothing here imports the code that does.
"""
