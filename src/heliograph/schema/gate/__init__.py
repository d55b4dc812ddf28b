"""The gate: reports changes of event classes that break the people and programs that rely on them.

``heliograph schema lock`` writes the *lock file*: the contract of each event class, as it is today. The file is committed
beside the classes. ``heliograph schema check`` compiles the classes again, compares them with the lock file, and fails if a
change is incompatible.

What is compared:

- attributes, by their name on the wire (present, type, unit, always present): dashboards and queries depend on them;
- privacy, by the path of a property: people were promised it;
- values, by JSON Schema: stored events are read with them;
- severity, stability and announced renames: reported, never incompatible.

Briefs, notes and examples are not in the lock file, because nobody's program depends on them.

Values are compared as JSON Schemas, not as Python types. Two annotations that accept the same values (``Literal["a"]`` and an
`Enum` with that value) have the same schema, so replacing one with the other is no change. And a lock file can be read without
importing the older version of a class, which no longer exists.

The values of events are compared in two directions, and the *mode* chooses which direction fails the check:

- ``backward``: the new schema must accept old events (stored, in the quarantine, in an outbox).
- ``forward``: the old schema must accept new events (readers that were not updated yet).
- ``full``: both.

A name that disappears without announcement, and privacy that is weakened, fail the check in every mode.

All of it is pure functions of their arguments; files are read and written by ``heliograph.cli.schema``.
"""
