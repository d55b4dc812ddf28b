"""The fast way to the attributes of plain values. `heliograph.values.attributes.add_attributes` adds the same attributes, for every form.

Each function raises `NotPlain` for a value that is not plain. Those that add a whole value have then added nothing.
"""

from __future__ import annotations

from typing import Any

from heliograph.values.attribute_names import AttributeNames
from heliograph.values.attributes import MAX_DEPTH, MAX_KEYS, Attributes, AttributeValue, array_or_json
from heliograph.values.plain import NotPlain, plain_form
from heliograph.values.privacy import Protected
from heliograph.values.scalars import INT64_MAX, INT64_MIN, are_own_forms
from heliograph.values.text import json_of


def put_value(attributes: Attributes, name: str, names: AttributeNames, value: Any, room: list[int]) -> None:
    """Add any plain value: as one attribute, or, if it is a dict, as one for each key.

    Args:
        attributes: The attributes to add to.
        name: The name of the attribute.
        names: The names below it.
        value: The value, which is no form yet.
        room: The number of values that may be read, as for `heliograph.values.plain.plain_form`.
    """
    kind = type(value)
    if kind is str and value.isascii():
        attributes[name] = value
    elif kind is dict:
        put_dict(attributes, names, value, room)
    elif kind is int and INT64_MIN <= value <= INT64_MAX:
        attributes[name] = value
    elif kind is list:
        attributes[name] = list_attribute(value, room)
    elif value is not None:
        put_form(attributes, name, names, plain_form(value, room))


def list_attribute(value: list[Any] | tuple[Any, ...], room: list[int]) -> AttributeValue:
    """Return the attribute of a list or a tuple of plain values."""
    copy = [*value]
    room[0] -= len(copy)
    if room[0] < 0:
        raise NotPlain
    return copy if are_own_forms(copy) else array_or_json([plain_form(item, room) for item in copy])


def put_form(attributes: Attributes, name: str, names: AttributeNames, form: object) -> None:
    """Add the form of any plain value."""
    if type(form) is list:
        attributes[name] = array_or_json(form)
    elif type(form) is dict:
        put_dict_form(attributes, names, form)
    elif form is not None:
        attributes[name] = form  # type: ignore[assignment]  # a scalar


def put_dict(attributes: Attributes, names: AttributeNames, value: dict[object, object], room: list[int]) -> None:
    """Add each value of a dict."""
    if value:
        flat: dict[str | None, Any] = {}
        flatten(flat, names, value, room)
        put_flat(attributes, flat)


def put_dict_form(attributes: Attributes, names: AttributeNames, form: dict[str, object]) -> None:
    """Add each value of a dict that is a form."""
    if form:
        flat: dict[str | None, Any] = {}
        _flatten_form(flat, names, form, 1)
        put_flat(attributes, flat)


def put_json(attributes: Attributes, name: str, form: object) -> None:
    """Add a dict as JSON text. An empty one has no attribute."""
    if form:
        attributes[name] = json_of(form).decode()


def json_unless_text(form: object) -> str:
    """Return a form as JSON text, unless it is text already."""
    return form if type(form) is str else json_of(form).decode()


def put_flat(attributes: Attributes, flat: dict[str | None, object]) -> None:
    """Add attributes whose names come from keys, if each key has a name and they are not too many.

    Args:
        attributes: The attributes to add to.
        flat: Those to add. The name of a key that cannot have one is `None`.
    """
    if None in flat or len(flat) >= MAX_KEYS:
        raise NotPlain
    attributes.update(flat)  # type: ignore[arg-type]


def forget(attributes: Attributes, size: int) -> None:
    """Remove the newest attributes, so that ``size`` of them remain."""
    while len(attributes) > size:
        attributes.popitem()


def flatten(
    flat: dict[str | None, Any], names: AttributeNames, value: dict[Any, Any], room: list[int], level: int = 1
) -> None:
    """Collect an attribute for each value of a dict. The first ones are there if this raises `NotPlain`.

    Args:
        flat: The attributes to add to. The name of a key that cannot have one is `None`.
        names: The names of the keys.
        value: The dict.
        room: The number of values that may be read.
        level: The number of keys that lead to each value.
    """
    room[0] -= len(value)
    if room[0] < 0 or len(value) > MAX_KEYS:
        raise NotPlain
    for key, item in value.copy().items():
        # This comes before the key is looked up, which would run its own code.
        if type(key) is not str:
            raise NotPlain
        name = names[key]
        kind = type(item)
        if (
            (kind is str and item.isascii())
            or (kind is int and INT64_MIN <= item <= INT64_MAX)
            or kind is bool
            or (kind is float and item - item == 0.0)
        ):
            flat[name] = item
        elif item is None and name is not None:
            continue
        elif kind is dict and level < MAX_DEPTH:
            flatten(flat, names.below(key), item, room, level + 1)
        elif kind is list:
            flat[name] = list_attribute(item, room)
        else:
            put_inner(flat, names, key, plain_form(item, room), level)


def _flatten_form(flat: dict[str | None, Any], names: AttributeNames, form: dict[str, Any], level: int) -> None:
    if len(form) > MAX_KEYS:
        raise NotPlain
    for key, item in form.items():
        kind = type(item)
        if kind is str or kind is int or kind is float or kind is bool:
            flat[names[key]] = item
        else:
            put_inner(flat, names, key, item, level)


def put_inner(flat: dict[str | None, Any], names: AttributeNames, key: str, form: Any, level: int = 1) -> None:
    """Add the form of one value of a dict."""
    name, kind = names[key], type(form)
    if kind is dict and level < MAX_DEPTH:
        _flatten_form(flat, names.below(key), form, level + 1)
    elif kind is dict:
        if form or name is None:
            flat[name] = json_of(form).decode()
    elif kind is list:
        flat[name] = array_or_json(form)
    elif form is not None or name is None:
        flat[name] = str(form) if kind is Protected else form
