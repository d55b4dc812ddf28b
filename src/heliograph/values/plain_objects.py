"""Add the fields of plain objects to attributes.

The function that does it is generated for each class, because a loop over the fields is slower. It has no types to compare with,
unlike the functions of `heliograph.schema.read.generated`. This is generated for a class with the fields ``sku`` and ``count``::

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
            put_other(flat, names, 'sku', item, room)
        item = value.count
        …

**Safety of `exec`.** The source contains only the names of the fields, if each is an identifier. `plain_fields` knows that to read them
runs no code of the class, and that none of them is private.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from heliograph.values.plain import NotPlain, plain_fields
from heliograph.values.scalars import PLAIN_SCALAR
from heliograph.values.stored import MAX_CACHED_CLASSES


@functools.lru_cache(maxsize=MAX_CACHED_CLASSES)
def fields_adder(cls: type, put_other: Callable[..., None]) -> Callable[..., None]:
    """Return the function that adds the fields of an object: ``add_fields`` above.

    Args:
        cls: The class of the object, which has `plain_fields`.
        put_other: Adds the value of a field that is not a common scalar.
    """
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
            f"        put_other(flat, names, {field!r}, item, room)",
        ]
    known: dict[str, Any] = {"NotPlain": NotPlain, "put_other": put_other}
    exec("\n".join(lines), known)  # noqa: S102 — see the docstring of the module
    add_fields: Callable[..., None] = known["add_fields"]
    return add_fields
