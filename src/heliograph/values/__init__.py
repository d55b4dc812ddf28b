"""The form of every Python value in telemetry, and the privacy that decides which part of it is exported.

A *form* is the JSON-like value that a Python value becomes: a scalar, `None`, a list of forms or a dict of forms. Forms are
made in this package, once, for every path on which a value can be exported: attributes, bodies, the quarantine, examples.

`forms` makes the form of any value, and applies the privacy that the classes inside of it declare. `plain` and `plain_attributes` are the
fast way to the same forms and attributes, for values without anything private in them.

Two threads may enter every function here at once. The only state is: the bounded caches of classes, which `functools.lru_cache`
locks; the flag of `privacy.PrivacyPolicy` and the names in `reports` that limit warnings to one; and the registered converters and the
remembered names, which are dicts that change by single steps of the interpreter.
"""
