"""The fast way to the forms of plain values: of values with nothing private inside of them.

Most values of dicts and lists are plain. `heliograph.values.forms` makes the same forms of them, and of every other value; it knows
declarations of privacy, cycles and registered converters, and is slower. `plain_form` raises `NotPlain`
for whatever it does not know, and the caller then asks `forms`. Containers are copied before they are read, because another
thread may change them.

Values are read as everywhere: no code of a program's class runs. (A metaclass that defines `__hash__` is asked for it.)
"""

from __future__ import annotations

import functools
import keyword
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

from heliograph.values.converters import RegisteredConverter, converter_of, has_fields, is_fixed
from heliograph.values.declarations import declares_nothing, field_declarations
from heliograph.values.fields import field_names
from heliograph.values.generics import is_generic
from heliograph.values.privacy import Protected
from heliograph.values.scalars import EXACT, INT64_MAX, INT64_MIN, SMALL, SMALL_NEGATIVE, are_own_forms
from heliograph.values.standard_library import MAX_VALUES, STANDARD, Converter, Pairs, Unordered
from heliograph.values.stored import MAX_CACHED_CLASSES, overrides, reads_plainly
from heliograph.values.text import json_of

MAX_PLAIN_NESTING: Final = 16
"""The number of values that can be inside of one another. A value inside of itself is deeper than that, and is not plain."""

TO_SCALAR: Final = {id(cls): to_form for cls, to_form in {**EXACT, complex: STANDARD[complex]}.items()}
"""The functions for common classes, by the id of the class: to hash a class can run code of its metaclass."""


class NotPlain(Exception):
    """A value is not plain, or exceeds a limit of the fast way."""


def plain_form(value: Any, room: list[int], depth: int = MAX_PLAIN_NESTING) -> object:
    """Return the form of a plain value.

    Args:
        value: The value.
        room: The number of values that may still be read inside of one property, in a list of one item. It is counted down.
        depth: The number of values that may still be inside of one another.

    Raises:
        NotPlain: The value is not plain.
    """
    kind: Any = type(value)  # mypy does not consider a class hashable
    to_form = TO_SCALAR.get(id(kind))
    if to_form is not None:
        return to_form(value)
    if depth == 0:
        raise NotPlain
    if kind is dict:
        return dict_form(value, room, depth - 1)
    if kind is list or kind is tuple:
        room[0] -= len(value)
        if room[0] < 0:
            raise NotPlain
        return _forms([*value], room, depth - 1)
    to_plain = fixed_converter(kind) or _plain_converter(kind, converter_of(kind))
    if to_plain is None:
        raise NotPlain
    return converted_form(to_plain(value), room, depth - 1)


def _forms(values: list[Any], room: list[int], depth: int) -> list[object]:
    if are_own_forms(values):
        return values
    forms = []
    for item in values:
        kind = type(item)
        # Most values are their own forms. To ask for them here saves a call for each.
        if (kind is str and item.isascii()) or (kind is int and INT64_MIN <= item <= INT64_MAX) or item is None:
            forms.append(item)
        else:
            forms.append(plain_form(item, room, depth))
    return forms


def dict_form(value: dict[Any, Any], room: list[int], depth: int = MAX_PLAIN_NESTING - 1) -> dict[str, object]:
    """Return the form of a dict, with the arguments of `plain_form`: a copy, in which each value is replaced by its form."""
    room[0] -= len(value)
    if room[0] < 0:
        raise NotPlain
    copy = value.copy()
    for key in copy:
        # A lone surrogate could equal its escape.
        if type(key) is not str or not (key.isascii() or key.isprintable()):
            raise NotPlain
        item = copy[key]
        kind = type(item)
        # Most values are their own forms. To ask for them here saves a call for each.
        if not (
            (kind is str and item.isascii())
            or (kind is int and (SMALL_NEGATIVE <= item <= SMALL or INT64_MIN <= item <= INT64_MAX))
            or item is None
            or kind is bool
            or (kind is float and item - item == 0.0)
        ):
            copy[key] = plain_form(item, room, depth)
    return copy


def converted_form(plain: Any, room: list[int], depth: int = MAX_PLAIN_NESTING - 1) -> object:
    """Return the form of what a converter returned, with the arguments of `plain_form`."""
    kind = type(plain)
    to_form = TO_SCALAR.get(id(kind))
    if to_form is not None:
        return to_form(plain)
    if kind is Protected:
        raise NotPlain
    if kind is Pairs:
        return plain_form(dict_of(plain), room, depth)
    if kind is not Unordered:
        return plain_form(plain, room, depth)
    room[0] -= len(plain)
    if room[0] < 0:
        raise NotPlain
    return sorted(_forms(plain, room, depth), key=json_of)


def dict_of(pairs: Pairs) -> dict[object, object]:
    """Return the pairs of a mapping as a dict. Raise `NotPlain` if a key is not a text, or is there twice."""
    for key, _ in pairs:
        # This comes before the key is hashed, which would run its own code.
        if type(key) is not str:
            raise NotPlain
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NotPlain
    return found


@functools.lru_cache(maxsize=MAX_CACHED_CLASSES)
def fixed_converter(cls: type) -> Converter | None:
    """Return the converter of a class, as `_plain_converter` does, or `None` if the program may later register another one for it."""
    return _plain_converter(cls, converter_of(cls)) if has_fields(cls) or is_fixed(cls) else None


@functools.lru_cache(maxsize=MAX_CACHED_CLASSES)
def _plain_converter(cls: type, converter: Converter | RegisteredConverter | None) -> Converter | None:
    """Return the converter of a class, or `None` if its values are not plain.

    The converter of the class is an argument, because a program may register another one at any time.
    """
    if has_fields(cls):
        return _fields_reader(cls)
    if converter is None or isinstance(converter, RegisteredConverter):
        return None
    # `dict.copy` calls methods of a subclass that has an order of its own, as `OrderedDict` has.
    if converter is STANDARD[dict] and not overrides(cls, dict, "__iter__"):
        converter = _copy_of_dict
    # A class may be generic, or be built on a container whose items are private.
    return converter if not is_generic(cls) and declares_nothing(cls) else None


def _copy_of_dict(value: dict[object, object]) -> dict[object, object]:
    if dict.__len__(value) > MAX_VALUES:
        raise NotPlain
    return dict.copy(value)


@functools.lru_cache(maxsize=MAX_CACHED_CLASSES)
def plain_fields(cls: type) -> tuple[str, ...]:
    """Return the names of the fields of a class; none if it has no fields, or if one of them may be private or runs code."""
    names = (field_names(cls) or ()) if has_fields(cls) else ()
    is_plain = not any(map(keyword.iskeyword, names)) and all(map(str.isidentifier, names))
    is_plain = is_plain and not is_generic(cls) and not field_declarations((cls,))
    return names if is_plain and reads_plainly(cls, names) else ()


def _fields_reader(cls: type) -> Converter | None:
    """Return a function that reads the fields of an object into a dict, or `None` if the class has no plain fields."""
    names = plain_fields(cls)
    if not names:
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


def text_converter(cls: type) -> Callable[[Any], str]:
    """Return a function that does the same as `converted_text` for values of exactly one class, without a search each time."""
    convert = fixed_converter(cls)
    if convert is None:
        return converted_text

    def text_of(value: object) -> str:
        text = convert(value)
        if type(text) is not str or not text.isascii():
            text = converted_form(text, [MAX_VALUES])
        if type(text) is not str:
            raise NotPlain
        return text

    return text_of
