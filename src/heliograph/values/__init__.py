"""The form of every Python value in telemetry, and the privacy that decides which part of it is exported.

A *form* is the JSON-like value that a Python value becomes: a scalar, `None`, a list of forms or a dict of forms. Forms are
made here, once, for every path on which a value can be exported: attributes, bodies, the quarantine, examples.

- `introspect` reads the fields of a class and the `Attribute` declarations in their annotations.
- `text` escapes and shortens text, and writes JSON.
- `privacy` decides which part of a value is exported, and masks, hashes and drops.
- `forms` makes the form of a value. It applies the privacy that the classes inside of the value declare.
- `attributes` turns a form into OpenTelemetry attributes.

Two threads may enter every function here at once: none has state but the bounded caches of `introspect`, which
`functools.lru_cache` locks, and the flag of `privacy.PrivacyPolicy` that limits a warning to one.
"""
