"""Generate the function that turns the events of one class into attributes.

The function reads every tracked event. It is faster than a loop over the fields, because the source knows the class that each value
should have. It tests each value for the *common case*, which is a value of exactly the declared class, within its bounds, and adds its
attributes.

Any other value of a field with texts, containers or classes is first given to a second generated function (`odd_values`). What that
refuses, and any other value of all other fields, goes to the `heliograph.schema.read.field.FieldReader` of the field, which handles every
value there can be. So one odd or invalid value costs only the reading of its field.

The form of a container needs a loop, and so a helper function of its own. Everything else is an expression.

**The source assumes nothing.** It tests each value before it uses it. It decides nothing by itself: it reports no violation, and the privacy
of each field is known when it is written. Containers are copied first, because another thread may
change them. If anything raises an exception, what was added of the field is forgotten, and the field is read as one with an odd value.
All ways must return the same; a property test compares them over all documented shapes of a field. No code of a program's class runs:
attributes are read only from objects of exactly the declared class, if that is known to have no code for it.

**Safety of `exec`.** The source contains only names that the generator makes itself, names of fields, which Python accepted as
identifiers, and names of attributes and keys as string literals. Every other value is passed in under a name.

The names of the source: ``value_…`` is the value of a field, ``read_…`` the function for its other values (`odd_values`, or its
`FieldReader`), ``class_…`` a class, ``values_…`` the allowed values, ``names_…`` the `AttributeNames` below an attribute, ``struct_…`` a class
for the form of an object that becomes JSON text, and ``room`` or ``left`` a list of one item: the number of values that may still be read,
which functions count down.

An example::

    @dataclass
    class Line:
        sku: str
        color: Literal["red", "blue"] | None

    @dataclass
    class ShippedEvent(Event):
        name = "shipped"
        express: bool
        note: str | None
        tags: dict[str, Any]
        lines: list[Line]

This is generated for it::

    def array_0(values):
        copy = [*values]
        if len(copy) > MAX_VALUES:
            raise NotPlain
        forms = []
        for item in copy:
            if not (type(item) is class_0 and type(value_4 := item.sku) is str and ((value_5 := item.color) is None or (type(value_5) is str and value_5 in values_0))):
                raise NotPlain
            forms.append(struct_0(value_4, (None if value_5 is None else value_5)))
        return forms

    def attributes_of_0(event, violations=None):
        try:
            value_0 = event.express
            value_1 = event.note
            value_2 = event.tags
            value_3 = event.lines
        except program_errors():
            return fallback(event, violations)
        attributes = {}
        if (value_0 is True or value_0 is False):
            attributes['app.shipped.express'] = value_0
        else:
            read_0(attributes, value_0, violations)
        if type(value_1) is str:
            attributes['app.shipped.note'] = (value_1 if value_1.isascii() else escape_surrogates(value_1))
        elif value_1 is not None and value_1 is not UNSET:
            read_1(attributes, value_1, violations)
        size = len(attributes)
        try:
            if type(value_2) is dict:
                if len(value_2) >= 64:
                    raise NotPlain
                copy, known, left = value_2.copy(), names_0.known, None
                for key in copy:
                    if type(key) is not str:
                        raise NotPlain
                    item = copy[key]
                    kind = type(item)
                    if (kind is str and (item.isascii() or item.isprintable())) or (kind is int and (-1073741823 <= item <= 1073741823 or -9223372036854775808 <= item <= 9223372036854775807)) or kind is bool or (kind is float and item - item == 0.0):
                        try:
                            name = known[key]
                        except KeyError:
                            name = names_0.name(key)
                        attributes[name] = item
                    elif item is not None or key not in known:
                        left = left or [MAX_VALUES - len(copy)]
                        if kind is dict:
                            flatten(attributes, names_0.below(key), item, left)
                        else:
                            put_item(attributes, names_0, key, item, left)
                if left is not None:
                    if len(attributes) - size >= 64:
                        raise NotPlain
            else:
                put_mapping(attributes, names_1, value_2)
        except program_errors():
            forget(attributes, size)
            read_2(attributes, value_2, violations)
        try:
            if type(value_3) is list:
                attributes['app.shipped.lines'] = json_of(array_0(value_3)).decode()
            else:
                read_3(attributes, value_3, violations)
        except program_errors():
            read_3(attributes, value_3, violations)
        return attributes
"""
