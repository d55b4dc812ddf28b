"""The form of every Python value in telemetry, and the privacy that decides which part of it is exported.

A *form* is the JSON-like value that a Python value becomes: a scalar, `None`, a list of forms or a dict of forms. Forms are
made here, once, for every path on which a value can be exported: attributes, bodies, the quarantine, examples.

- `stored` reads what objects store, without running the code of their classes.
- `generics` resolves the type parameters of classes, and `pydantic_fields` reads pydantic's descriptions of fields.
- `fields` reads the fields of a class and their annotations, and `declared_attributes` the `Attribute` declarations in these.
- `text` escapes and shortens text, and writes JSON.
- `privacy` decides which part of a value is exported, and masks, hashes and drops.
- `standard_library` and `named_classes` make plain values of the classes that heliograph knows.
- `scalars` makes the forms of numbers, texts, times and bytes.
- `converters` finds the function for a class, those that a program registers included.
- `reports` warns, once for each class, about values that cannot be exported.
- `declarations` finds what holds inside of a value: by its class, by the alias that made it, and by the annotation around it.
- `forms` makes the form of a value. It applies the privacy that the classes inside of the value declare.
- `attributes` turns a form into OpenTelemetry attributes; `attribute_names` remembers the names that keys of dicts become.
- `plain`, `plain_attributes` and `plain_objects` are the fast way to the same forms and attributes, for values without anything private in
  them.

Two threads may enter every function here at once. The only state is: the bounded caches of classes, which `functools.lru_cache`
locks; the flag of `privacy.PrivacyPolicy` and the names in `reports` that limit warnings to one; and the registered converters and the
remembered names, which are dicts that change by single steps of the interpreter.
"""
