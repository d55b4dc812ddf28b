r"""The form that each Python value takes in an attribute: pure, total, and the same everywhere.

==================================  ===================================================================
value                               form
==================================  ===================================================================
`str`                               itself; lone surrogates as ``\udc80``
`bool`, `float`                     itself; ``"NaN"``, ``"Infinity"``, ``"-Infinity"`` as text
`int`                               itself; beyond 64 bits as decimal text, beyond 1024 bits as hexadecimal
`None`                              left out; ``null`` inside JSON
`datetime`, `date`, `time`          ISO 8601 text, with its offset, or ``Z``
`timedelta`                         ISO 8601 duration, such as ``P1DT2S``
`Decimal`, `UUID`                   text
`bytes`, `bytearray`, `memoryview`  base64
`Enum`                              its value
`list`, `tuple`, `set`              an array, if it holds scalars of one type (sets are sorted); else JSON text
`dict`, dataclass, `msgspec.Struct` flattened by key; of keys with one text, such as ``1`` and ``"1"``, those after
                                    the first get a number: ``1#2``
an object nobody knows              ``<module.Class>``: no code of it is run
a value inside itself               ``<cycle>``; nested more than 32 deep ``<too deep>``
more than 10,000 values inside one  the first of them, and ``<too large>``
==================================  ===================================================================

Forms of dates, numbers and bytes are those that msgspec gives them in JSON, so that text and JSON Schema agree.

What is flattened becomes at most 64 attributes, from at most 5 levels of keys: what is deeper is one JSON text under its
own key, and what is past the sixty-fourth, or has a key that is empty, longer than 128 characters, not printable, or
taken, is in one JSON object under the name of the property. An empty dict is ``{}``.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import itertools
import math
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

import msgspec

from heliograph.errors import qualified_name
from heliograph.values.introspect import declared_privacy, field_names
from heliograph.values.privacy import PrivacyPolicy
from heliograph.values.text import escape_surrogates, to_json

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1
MAX_NESTING: Final = 32
MAX_VALUES: Final = 10_000
"""How many values inside of one property are looked at."""
TOO_LARGE: Final = "<too large>"

_DECIMAL_BITS: Final = 1024  # CPython refuses to write very long integers in decimal, by a limit that users can lower
_TEXTUAL: Final = (
    dt.datetime,
    dt.date,
    dt.time,
    dt.timedelta,
    decimal.Decimal,
    uuid.UUID,
    bytes,
    bytearray,
    memoryview,
)


def form_of(value: object) -> object:
    """The documented form of any value: a scalar, `None`, or a list or dict of forms.

    >>> form_of({"when": dt.date(2026, 1, 2), "tags": {"b", "a"}, "size": 2**70})
    {'when': '2026-01-02', 'tags': ['a', 'b'], 'size': '1180591620717411303424'}
    """
    return _plain(value, _Walk(None))


def protected_form_of(value: object, policy: PrivacyPolicy) -> tuple[object, bool]:
    """The form of what may leave of a value, by what the classes inside of it declare, and whether that is all of it."""
    walk = _Walk(policy)
    form = _plain(value, walk)
    return form, not walk.met_private


class _Walk:
    """Where the way through a value is.

    Attributes:
        parents: The ids of the values around it.
        left: How many values more may be looked at.
        policy: Decides what leaves of private fields; `None` takes them as they are.
        met_private: Whether there was a private field on the way.
    """

    __slots__ = ("left", "met_private", "parents", "policy")

    def __init__(self, policy: PrivacyPolicy | None) -> None:
        self.policy = policy
        self.met_private = False
        self.parents: tuple[int, ...] = ()
        self.left = MAX_VALUES

    def forms(self, values: Iterable[object]) -> Iterator[object]:
        """The forms of these values, until the last that may be looked at; then ``<too large>``."""
        for value in values:
            self.left -= 1
            if self.left < 0:
                yield TOO_LARGE
                return
            yield _plain(value, self)

    def keyed_forms(self, mapping: Mapping[object, object]) -> Iterator[tuple[str, object]]:
        """The same, of a mapping's values, with the forms of their keys."""
        for key, value in mapping.items():
            self.left -= 1
            if self.left < 0:
                yield TOO_LARGE, True
                return
            yield _as_text(_plain(key, self)), _plain(value, self)


def _plain(value: object, walk: _Walk) -> object:
    form = _EXACT.get(type(value))
    parents = walk.parents
    try:
        if form is not None:
            return form(value)
        if id(value) in parents:
            return "<cycle>"
        if len(parents) == MAX_NESTING:
            return "<too deep>"
        walk.parents = (*parents, id(value))
        return _by_kind(value, walk)
    except Exception:  # a value's own code (a mapping's keys, a property) may do anything; an event is never lost by it
        return _unknown(value)
    finally:
        walk.parents = parents


def _by_kind(value: object, walk: _Walk) -> object:
    for kind, form_of in _KINDS:
        if isinstance(value, kind):
            return form_of(value, walk)
    names = field_names(type(value))  # type: ignore[arg-type]  # mypy takes a class for not hashable
    if names is None:
        return _unknown(value)
    declared = {} if walk.policy is None else declared_privacy(type(value))  # type: ignore[arg-type]
    if walk.policy is None or not declared:
        return {name: _plain(getattr(value, name, None), walk) for name in names}
    walk.met_private = True
    whole = frozenset(name for name, said in declared.items() if walk.policy.is_hashed(said))
    form = {name: (_raw if name in whole else _plain)(getattr(value, name, None), walk) for name in names}
    return walk.policy.protect_fields(form, declared)


def _raw(value: object, walk: _Walk) -> object:
    policy, walk.policy = walk.policy, None
    try:
        return _plain(value, walk)
    finally:
        walk.policy = policy


_KINDS: Final[Sequence[tuple[Any, Callable[[Any, _Walk], object]]]] = (
    (enum.Enum, lambda value, walk: _plain(value.value, walk)),
    (Mapping, lambda value, walk: _keyed(walk.keyed_forms(value))),
    (AbstractSet, lambda value, walk: sorted(walk.forms(value), key=to_json)),
    (str, lambda value, _: escape_surrogates(str.__str__(value))),
    (int, lambda value, _: integer_form(int.__index__(value))),
    (float, lambda value, _: number_form(float.__float__(value))),
    (_TEXTUAL, lambda value, _: msgspec.to_builtins(value)),
    (Sequence, lambda value, walk: list(walk.forms(value))),
)
"""The form of a value whose exact class is not known, by the first kind that it is of."""


def integer_form(value: int) -> int | str:
    """The integer, if 64 bits hold it; else its decimal text, or, beyond 1024 bits, its hexadecimal text."""
    if INT64_MIN <= value <= INT64_MAX:
        return value
    return str(value) if value.bit_length() <= _DECIMAL_BITS else hex(value)


def number_form(value: float) -> float | str:
    """The number, if JSON can carry it; else the name that protobuf's JSON mapping gives it."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _same(value: object) -> object:
    return value


_EXACT: Final[Mapping[type, Callable[[Any], object]]] = {
    str: escape_surrogates,
    bool: _same,
    int: integer_form,
    float: number_form,
    type(None): _same,
    **dict.fromkeys(_TEXTUAL, msgspec.to_builtins),
}


def _keyed(items: Iterable[tuple[str, object]]) -> dict[str, object]:
    form: dict[str, object] = {}
    numbers = itertools.count(2)
    for key, item in items:
        name = key
        while name in form:
            name = f"{key}#{next(numbers)}"
        form[name] = item
    return form


def _unknown(value: object) -> str:
    return escape_surrogates(f"<{qualified_name(type(value))}>")


def _as_text(form: object) -> str:
    return form if isinstance(form, str) else to_json(form)
