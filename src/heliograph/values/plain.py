"""Make the forms of plain values in a short way: of values without anything private inside of them.

Most values of dicts and lists are plain. `heliograph.values.forms` makes the same forms of them, and of every other value; it knows
declarations of privacy, cycles and registered converters, which costs about ten times as much. `plain_form` raises `NotPlain`
for whatever it does not know, and the caller then asks `forms`. Containers are copied before they are read, because another
thread may change them.

Values are read as everywhere: no code of a program's class runs.
"""

from __future__ import annotations

import functools
from operator import attrgetter
from typing import Any, Final

from heliograph.values.converters import RegisteredConverter, converter_of, has_fields
from heliograph.values.declarations import fields_of, whole
from heliograph.values.fields import field_names
from heliograph.values.generics import is_generic
from heliograph.values.privacy import Protected
from heliograph.values.scalars import EXACT, INT64_MAX, INT64_MIN
from heliograph.values.standard_library import MAX_VALUES, Converter, Pairs, Unordered
from heliograph.values.stored import MAX_CACHED_CLASSES, reads_plainly
from heliograph.values.text import escape_surrogates, json_of

MAX_PLAIN_NESTING: Final = 16
"""The number of values that can be inside of one another. A value inside of itself is deeper than that, and is not plain."""

_SCALARS: Final = {id(cls): to_form for cls, to_form in EXACT.items()}
"""The functions for common classes, by the id of the class: to hash a class can run code of its metaclass."""


class NotPlain(Exception):
    """A value is not plain, or not within the limits up to which values need no closer look."""


def plain_form(value: object, room: list[int], depth: int = MAX_PLAIN_NESTING) -> object:
    """Return the form of a plain value.

    Args:
        value: The value.
        room: The number of values that may still be read inside of one property, in a list of one item. It is counted down.
        depth: The number of values that may still be inside of one another.

    Raises:
        NotPlain: The value is not plain.
    """
    kind: Any = type(value)  # mypy does not consider a class hashable
    to_form = _SCALARS.get(id(kind))
    if to_form is not None:
        return to_form(value)
    if depth == 0:
        raise NotPlain
    if kind is dict:
        return _dict_form(value, room, depth - 1)  # type: ignore[arg-type]
    if kind is list or kind is tuple:
        return _forms(value[: MAX_VALUES + 1], room, depth - 1)  # type: ignore[index]
    to_plain = _plain_converter(kind, converter_of(kind))
    if to_plain is None:
        raise NotPlain
    return _converted_form(to_plain(value), room, depth - 1)


def _forms(copy: Any, room: list[int], depth: int) -> list[object]:
    room[0] -= len(copy)
    if room[0] < 0:
        raise NotPlain
    # Common texts and numbers are their own forms. To ask for them here saves a call for each.
    return [
        item
        if (type(item) is str and item.isascii()) or (type(item) is int and INT64_MIN <= item <= INT64_MAX)
        else plain_form(item, room, depth)
        for item in copy
    ]


def _dict_form(value: dict[object, object], room: list[int], depth: int) -> dict[str, object]:
    copy = value.copy()
    for key in copy:
        if type(key) is not str or not (key.isascii() or key.isprintable()):  # a lone surrogate could equal its escape
            raise NotPlain
    return dict(zip(copy, _forms(copy.values(), room, depth)))  # type: ignore[arg-type]  # the keys are texts


def _converted_form(plain: object, room: list[int], depth: int) -> object:
    """Return the form of what a converter returned."""
    kind = type(plain)
    if kind is str:
        return escape_surrogates(plain)  # type: ignore[arg-type]
    if kind is Protected or (kind is Pairs and not _has_text_keys(plain)):  # type: ignore[arg-type]
        raise NotPlain
    if kind is Pairs:
        return _dict_form(dict(plain), room, depth)  # type: ignore[call-overload]
    if kind is Unordered:
        return sorted(_forms(plain, room, depth), key=json_of)
    return plain_form(plain, room, depth)


def _has_text_keys(pairs: Pairs) -> bool:
    """Return True if all keys are texts, and different ones."""
    keys = [key for key, _ in pairs if type(key) is str]
    return len(keys) == len(pairs) == len(set(keys))


@functools.lru_cache(maxsize=MAX_CACHED_CLASSES)
def _plain_converter(cls: type, converter: Converter | RegisteredConverter | None) -> Converter | None:
    """Return the function that makes a plain value of a value of a class, or `None` if the class needs a closer look.

    The converter of the class is an argument, because a program may register another one at any time.
    """
    if has_fields(cls):
        return _fields_reader(cls)
    if converter is None or isinstance(converter, RegisteredConverter):
        return None
    # A class may be generic, or be built on a container whose items are private.
    return converter if not is_generic(cls) and whole((cls,)).is_empty else None


def _fields_reader(cls: type) -> Converter | None:
    """Return a function that reads the fields of an object into a dict, or `None` if one of them may be private."""
    names = field_names(cls) or ()
    if is_generic(cls) or fields_of((cls,)) or not names or not reads_plainly(cls, names):
        return None
    if len(names) == 1:
        return lambda value: {names[0]: getattr(value, names[0])}
    get = attrgetter(*names)
    return lambda value: dict(zip(names, get(value)))


def converted_text(value: object) -> str:
    """Return the text that a value of the standard library or of a named package becomes.

    Raises:
        NotPlain: It does not become text.
    """
    form = plain_form(value, [MAX_VALUES])
    if type(form) is not str:
        raise NotPlain
    return form
