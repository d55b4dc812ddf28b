"""The fast way to the attributes of plain values. `heliograph.values.attributes.add_attributes` adds the same attributes, for every form.

Each function raises `NotPlain` for a value that is not plain. Those that add a form have then added nothing. Those that read a
value may have added a part of it, which the caller removes with `forget`: to collect it elsewhere first is slower.

Values of other classes than the built-in ones are added by their class. The function for a class (`adder_of`) is made once for each name
that the values are below, and kept: see `AttributeNames.adders`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from heliograph.values.attribute_names import AttributeNames
from heliograph.values.attributes import MAX_DEPTH, MAX_KEYS, Attributes, AttributeValue, array_or_json
from heliograph.values.plain import (
    TO_SCALAR,
    NotPlain,
    converted_form,
    dict_of,
    fixed_converter,
    plain_fields,
    plain_form,
)
from heliograph.values.plain_objects import fields_adder
from heliograph.values.privacy import Protected
from heliograph.values.scalars import INT64_MAX, INT64_MIN, SCALARS, SMALL, SMALL_NEGATIVE, are_own_forms
from heliograph.values.standard_library import MAX_VALUES, Converter, Pairs
from heliograph.values.text import json_of

Adder = Callable[[dict[str, Any], Any, "list[int]"], None]
"""A function that adds a value to attributes. The last argument is the number of values that may be read."""


def put_value(attributes: Attributes, name: str, names: AttributeNames, value: Any, room: list[int]) -> None:
    """Add any plain value: as one attribute, or, if it is a dict or an object with fields, as one for each key or field.

    If this raises `NotPlain`, the first attributes of a dict or an object may be there.

    Args:
        attributes: The attributes to add to.
        name: The name of the attribute.
        names: The names below it.
        value: The value, which is not a form yet.
        room: The number of values that may be read, as for `heliograph.values.plain.plain_form`.
    """
    kind = type(value)
    if (kind is str and value.isascii()) or (kind is int and INT64_MIN <= value <= INT64_MAX):
        attributes[name] = value
    elif value is None:
        return
    elif kind is dict:
        put_dict(attributes, names, value, room)
    elif kind is list:
        attributes[name] = list_attribute(value, room)
    elif (to_form := SCALARS.get(id(kind))) is not None:
        attributes[name] = to_form(value)  # type: ignore[assignment]  # a scalar
    elif (add := adder_of(names, kind)) is not None:
        size = len(attributes)
        add(attributes, value, room)
        if len(attributes) - size >= MAX_KEYS:
            raise NotPlain
    else:
        put_form(attributes, name, names, plain_form(value, room))


def put_mapping(attributes: Attributes, names: AttributeNames, value: Any) -> None:
    """Add each value of a mapping that is no `dict` itself, such as a `UserDict`, or of an object with fields."""
    cls: Any = type(value)  # mypy does not consider a class hashable
    convert = fixed_converter(cls)
    plain: Any = None if convert is None else convert(value)
    if type(plain) is Pairs:
        plain = dict_of(plain)
    if type(plain) is not dict:
        raise NotPlain
    put_dict(attributes, names, plain, [MAX_VALUES])


def adder_of(names: AttributeNames, cls: Any) -> Adder | None:
    """Return the function that adds values of exactly one class, or `None` if they need a closer look.

    Args:
        names: The names below the attribute of the value.
        cls: The class, which is not a built-in one.
    """
    try:
        return names.adders[cls]  # type: ignore[no-any-return]
    except KeyError:
        pass
    found: Adder | None = None
    to_scalar, fields, convert = TO_SCALAR.get(id(cls)), plain_fields(cls), fixed_converter(cls)
    attribute_names = [names[field] for field in fields]
    if to_scalar is not None:
        found = functools.partial(_put_scalar, names.prefix, to_scalar)
    elif fields:
        if None not in attribute_names:
            found = functools.partial(fields_adder(cls, put_item), names, attribute_names)
    elif convert is not None:
        found = functools.partial(_put_converted, names, convert)
    names.root.make_room()
    names.adders[cls] = found
    return found


def _put_scalar(name: str, to_scalar: Callable[[Any], object], flat: dict[str, Any], value: Any, _: list[int]) -> None:
    flat[name] = to_scalar(value)


def _put_converted(
    names: AttributeNames, convert: Converter, attributes: Attributes, value: Any, room: list[int]
) -> None:
    """Convert a value by a function, and add the result."""
    plain: Any = convert(value)
    kind, name = type(plain), names.prefix
    # The test of `PLAIN_SCALAR`, except that a text must be ASCII. It is written out, as in `flatten`, because a call is slower.
    if (
        (kind is str and plain.isascii())
        or (kind is int and (SMALL_NEGATIVE <= plain <= SMALL or INT64_MIN <= plain <= INT64_MAX))
        or kind is bool
        or (kind is float and plain - plain == 0.0)
    ):
        attributes[name] = plain
    elif kind is dict:
        flatten(attributes, names, plain, room)
    elif kind is list:
        attributes[name] = list_attribute(plain, room)
    else:
        put_form(attributes, name, names, converted_form(plain, room))


def list_attribute(value: list[Any] | tuple[Any, ...], room: list[int]) -> AttributeValue:
    """Return the attribute of a list or a tuple of plain values."""
    copy = [*value]
    room[0] -= len(copy)
    if room[0] < 0:
        raise NotPlain
    for item in copy:
        if type(item) is not str:
            break
    else:  # as `are_own_forms` does for texts, without its call
        text = "".join(copy)
        if text.isascii() or text.isprintable():
            return copy
    return copy if are_own_forms(copy) else array_or_json([plain_form(item, room) for item in copy])


def put_form(attributes: Attributes, name: str, names: AttributeNames, form: object) -> None:
    """Add the form of any plain value."""
    if type(form) is list:
        attributes[name] = array_or_json(form)
    elif type(form) is dict:
        put_dict_form(attributes, names, form)
    elif form is not None:
        attributes[name] = form  # type: ignore[assignment]  # a scalar


def put_dict(attributes: Attributes, names: AttributeNames, value: dict[Any, Any], room: list[int]) -> None:
    """Add each value of a dict. The first attributes are there if this raises `NotPlain`."""
    size = len(attributes)
    flatten(attributes, names, value, room)
    if len(attributes) - size >= MAX_KEYS:
        raise NotPlain


def put_dict_form(attributes: Attributes, names: AttributeNames, form: dict[str, object]) -> None:
    """Add each value of a dict that is a form."""
    if form:
        flat: Attributes = {}
        _flatten_form(flat, names, form)
        if len(flat) >= MAX_KEYS:
            raise NotPlain
        attributes.update(flat)


def put_json(attributes: Attributes, name: str, form: object) -> None:
    """Add a dict as JSON text. An empty one has no attribute."""
    if form:
        attributes[name] = json_of(form).decode()


def json_unless_text(form: object) -> str:
    """Return a form as JSON text, unless it is text already."""
    return form if type(form) is str else json_of(form).decode()


def forget(attributes: Attributes, size: int) -> None:
    """Remove the newest attributes, so that ``size`` of them remain."""
    while len(attributes) > size:
        attributes.popitem()


def flatten(flat: dict[str, Any], names: AttributeNames, value: dict[Any, Any], room: list[int]) -> None:
    """Add an attribute for each value of a dict. The first ones are there if this raises `NotPlain`.

    Args:
        flat: The attributes to add to.
        names: The names of the keys.
        value: The dict.
        room: The number of values that may be read.
    """
    room[0] -= len(value)
    if room[0] < 0 or len(value) > MAX_KEYS:
        raise NotPlain
    copy, known = value.copy(), names.known
    for key in copy:
        # This comes before the key is looked up, which would run its own code.
        if type(key) is not str:
            raise NotPlain
        item = copy[key]
        kind = type(item)
        if (
            (kind is str and item.isascii())
            or (kind is int and (SMALL_NEGATIVE <= item <= SMALL or INT64_MIN <= item <= INT64_MAX))
            or kind is bool
            or (kind is float and item - item == 0.0)
        ):
            try:
                name = known[key]
            except KeyError:
                name = names.name(key)
            flat[name] = item
        elif kind is dict and names.level < MAX_DEPTH:  # as `put_item` does, without its call
            flatten(flat, names.below(key), item, room)
        elif item is not None or key not in known:
            put_item(flat, names, key, item, room)


def put_item(flat: dict[str, Any], names: AttributeNames, key: str, item: Any, room: list[int]) -> None:
    """Add any value of a dict, as `flatten` does."""
    kind = type(item)
    if kind is list:
        flat[names.name(key)] = list_attribute(item, room)
    elif kind is dict and names.level < MAX_DEPTH:
        flatten(flat, names.below(key), item, room)
    elif item is None:
        names.name(key)  # it is omitted, but not below a key without a name
    elif id(kind) not in SCALARS and names.level < MAX_DEPTH and (add := adder_of(names.below(key), kind)) is not None:
        add(flat, item, room)
    else:
        put_inner(flat, names, key, plain_form(item, room))


def _flatten_form(flat: dict[str, Any], names: AttributeNames, form: dict[str, Any]) -> None:
    if len(form) > MAX_KEYS:
        raise NotPlain
    known = names.known
    for key, item in form.items():
        kind = type(item)
        if kind is str or kind is int or kind is float or kind is bool:
            try:
                name = known[key]
            except KeyError:
                name = names.name(key)
            flat[name] = item
        else:
            put_inner(flat, names, key, item)


def put_inner(flat: dict[str, Any], names: AttributeNames, key: str, form: Any) -> None:
    """Add the form of one value of a dict."""
    kind = type(form)
    if kind is dict and names.level < MAX_DEPTH:
        _flatten_form(flat, names.below(key), form)
        return
    name = names.name(key)
    if kind is dict:
        if form:
            flat[name] = json_of(form).decode()
    elif kind is list:
        flat[name] = array_or_json(form)
    elif form is not None:
        flat[name] = str(form) if kind is Protected else form
