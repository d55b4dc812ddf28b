"""Add values to attributes by their class, in the place of `Any`.

The function that adds the values of a class is made once for each name that they are below, and kept: see `AttributeNames.adders`.

The fields of objects are added by a function that is generated for the class, because a loop over the fields takes twice as long. It has
no types to compare with, unlike the functions of `heliograph.schema.read.generated`. This is generated for a class with the fields
``sku`` and ``count``::

    def add_fields(names, attribute_names, flat, value, room):
        room[0] -= 2
        if room[0] < 0:
            raise NotPlain
        name_0, name_1, = attribute_names
        item = value.sku
        kind = type(item)
        if (kind is str and (item.isascii() or item.isprintable())) or …:
            flat[name_0] = item
        else:
            put_item(flat, names, 'sku', item, room)
        item = value.count
        …

**Safety of `exec`.** The source contains only the names of the fields, if each is an identifier. `plain_fields` knows that to read them
runs no code of the class, and that none of them is private.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from heliograph.values.attribute_names import AttributeNames
from heliograph.values.plain import TO_SCALAR, NotPlain, fixed_converter, plain_fields
from heliograph.values.scalars import PLAIN_SCALAR
from heliograph.values.stored import MAX_CACHED_CLASSES

Adder = Callable[[dict[str, Any], Any, "list[int]"], None]
"""A function that adds a value to attributes. The last argument is the number of values that may be read."""


def adder_of(names: AttributeNames, cls: Any, put_item: Callable[..., None], put: Callable[..., None]) -> Adder | None:
    """Return the function that adds values of exactly one class, or `None` if they need a closer look.

    Args:
        names: The names below the attribute of the value.
        cls: The class, which is no built-in one.
        put_item: The function `heliograph.values.plain_attributes.put_item`.
        put: The function `heliograph.values.plain_attributes.put_plain`. Both are arguments because that module imports this one.
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
            found = functools.partial(_add_fields(cls, put_item), names, attribute_names)
    elif convert is not None:
        found = functools.partial(put, names, convert)
    names.root.make_room()
    names.adders[cls] = found
    return found


def _put_scalar(name: str, to_scalar: Callable[[Any], object], flat: dict[str, Any], value: Any, _: list[int]) -> None:
    flat[name] = to_scalar(value)


@functools.lru_cache(maxsize=MAX_CACHED_CLASSES)
def _add_fields(cls: type, put_item: Callable[..., None]) -> Callable[..., None]:
    fields = plain_fields(cls)
    lines = [
        "def add_fields(names, attribute_names, flat, value, room):",
        f"    room[0] -= {len(fields)}",
        "    if room[0] < 0:",
        "        raise NotPlain",
        f"    {''.join(f'name_{index}, ' for index in range(len(fields)))}= attribute_names",
    ]
    for index, field in enumerate(fields):
        lines += [
            f"    item = value.{field}",
            "    kind = type(item)",
            f"    if {PLAIN_SCALAR}:",
            f"        flat[name_{index}] = item",
            "    else:",
            f"        put_item(flat, names, {field!r}, item, room)",
        ]
    known: dict[str, Any] = {"NotPlain": NotPlain, "put_item": put_item}
    exec("\n".join(lines), known)  # noqa: S102 — see the docstring of the module
    add_fields: Callable[..., None] = known["add_fields"]
    return add_fields
