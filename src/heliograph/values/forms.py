r"""Make the form of any Python value. No function here raises an exception or changes a value.

==================================  ===================================================================
value                               form
==================================  ===================================================================
`str`                               itself; lone surrogates as ``\udc80``
`bool`, `float`                     itself; ``"NaN"``, ``"Infinity"``, ``"-Infinity"`` as text
`int`                               itself; beyond 64 bits as decimal text, beyond 1024 bits as hexadecimal
`None`                              omitted; ``null`` inside JSON
`datetime`, `date`, `time`          ISO 8601 text, with its offset, or ``Z``
`timedelta`                         ISO 8601 duration, such as ``P1DT2S``
`Decimal`, `UUID`                   text
`bytes`, `bytearray`, `memoryview`  base64
`Enum`                              its value
`list`, `tuple`, `set`              an array, if it holds scalars of one type (sets are sorted); else JSON text
`dict`, dataclass, `msgspec.Struct` flattened by key; if several keys have the same text, such as ``1`` and ``"1"``,
                                    all after the first get a number: ``1#2``
any other object                    ``<module.Class>``; none of its code is run
a value inside of itself            ``<cycle>``; a value nested more than 32 deep is ``<too deep>``
more than 10,000 values inside one  the first 10,000 of them, and ``<too large>``
==================================  ===================================================================

Dates, numbers and bytes have the form that msgspec gives them in JSON, so that attributes and the JSON Schema agree.

A dict becomes at most 64 attributes, from at most 5 levels of keys. A dict below the fifth level is JSON text under its own
key. All values after the sixty-fourth are in the JSON object of the attribute ``heliograph.event.overflow``, below the name of the
property, together with each value whose key is empty, longer than 128 characters, not printable, or already the name of another
attribute. An empty dict is omitted.
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
"""The number of values that can be inside of one another. It keeps Python's stack from overflowing."""
MAX_VALUES: Final = 10_000
"""The number of values inside of one property that are read. It bounds the time that one event can cost."""
TOO_LARGE: Final = "<too large>"
"""The form of everything after `MAX_VALUES` values."""

_DECIMAL_BITS: Final = 1024
"""The size of the longest integer that is written in decimal. CPython refuses longer ones by a limit that users can lower."""


def form_of(value: object) -> object:
    """Return the documented form of any value: a scalar, `None`, or a list or dict of forms.

    >>> form_of({"when": dt.date(2026, 1, 2), "tags": {"b", "a"}, "size": 2**70})
    {'when': '2026-01-02', 'tags': ['a', 'b'], 'size': '1180591620717411303424'}
    """
    return _FormBuilder(None).form(value)


def protected_form_of(value: object, policy: PrivacyPolicy) -> tuple[object, bool]:
    """Return the form of a value with the privacy that classes inside of it declare, and True if nothing in it was private.

    The privacy of the field that has the value is not applied here; the caller knows it.
    """
    builder = _FormBuilder(policy)
    form = builder.form(value)
    return form, not builder.met_private


class _FormBuilder:
    """Makes the form of one value, recursively.

    Attributes:
        met_private: True once a field with a declared privacy was met.
    """

    __slots__ = ("_parents", "_policy", "_remaining", "met_private")

    def __init__(self, policy: PrivacyPolicy | None) -> None:
        self._policy = policy  # `None` exports private fields as they are
        self._parents: tuple[int, ...] = ()  # the ids of the values that the current one is inside of
        self._remaining = MAX_VALUES
        self.met_private = False

    def form(self, value: object) -> object:
        to_form = _EXACT.get(type(value))
        parents = self._parents
        try:
            if to_form is not None:
                return to_form(value)
            if id(value) in parents:
                return "<cycle>"
            if len(parents) == MAX_NESTING:
                return "<too deep>"
            self._parents = (*parents, id(value))
            return self._form_by_kind(value)
        except Exception:  # a value's own code, such as the keys of a mapping, may raise anything; the event goes out
            return _unknown(value)
        finally:
            self._parents = parents

    def _form_by_kind(self, value: object) -> object:
        # The order matters: an enum may be a `str` or an `int` too, and text and bytes are sequences.
        match value:
            case enum.Enum():
                return self.form(value.value)
            case Mapping():
                return _with_unique_keys(self._keyed_forms(value))
            case AbstractSet():
                return sorted(self._forms(value), key=to_json)  # a set has no order of its own; equal sets look equal
            case str():
                return escape_surrogates(str.__str__(value))  # not `str(value)`, which a subclass can override
            case int():
                return integer_form(int.__index__(value))
            case float():
                return number_form(float.__float__(value))
            case _ if isinstance(value, _WRITTEN_BY_MSGSPEC):
                return msgspec.to_builtins(value)
            case Sequence():
                return list(self._forms(value))
        return self._form_of_object(value)

    def _form_of_object(self, value: object) -> object:
        cls: Any = type(value)  # mypy does not consider a class hashable
        names = field_names(cls)
        if names is None:
            return _unknown(value)
        policy = self._policy
        declared = {} if policy is None else declared_privacy(cls)
        if policy is None or not declared:
            return {name: self.form(getattr(value, name, None)) for name in names}
        self.met_private = True
        form: dict[str, object] = {}
        for name in names:
            # A hash covers the whole value, so nothing inside of it may be masked or dropped first.
            self._policy = None if name in declared and policy.is_hashed(declared[name]) else policy
            try:
                form[name] = self.form(getattr(value, name, None))
            finally:
                self._policy = policy
        return policy.protect_fields(form, declared)

    def _forms(self, values: Iterable[object]) -> Iterator[object]:
        """Yield the forms of values, and ``<too large>`` in place of all that come after the last that may be read."""
        for value in values:
            self._remaining -= 1
            if self._remaining < 0:
                yield TOO_LARGE
                return
            yield self.form(value)

    def _keyed_forms(self, mapping: Mapping[object, object]) -> Iterator[tuple[str, object]]:
        """Yield the keys of a mapping as text, each with the form of its value, within the same bound."""
        for key, value in mapping.items():
            self._remaining -= 1
            if self._remaining < 0:
                yield TOO_LARGE, True
                return
            key_form = self.form(key)
            yield key_form if isinstance(key_form, str) else to_json(key_form), self.form(value)


def integer_form(value: int) -> int | str:
    """Return the integer if 64 bits hold it. Return decimal text if not, or hexadecimal text beyond 1024 bits."""
    if INT64_MIN <= value <= INT64_MAX:
        return value
    return str(value) if value.bit_length() <= _DECIMAL_BITS else hex(value)


def number_form(value: float) -> float | str:
    """Return the number if JSON can carry it, or the name that protobuf's JSON mapping gives it."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _unchanged(value: object) -> object:
    return value


_WRITTEN_BY_MSGSPEC: Final = (
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
"""Classes whose values become the text that msgspec writes for them in JSON."""

_EXACT: Final[Mapping[type, Callable[[Any], object]]] = {
    str: escape_surrogates,
    bool: _unchanged,
    int: integer_form,
    float: number_form,
    type(None): _unchanged,
    **dict.fromkeys(_WRITTEN_BY_MSGSPEC, msgspec.to_builtins),
}
"""The function that makes the form of each common class. One look into a dict is faster than a chain of `isinstance`."""


def _with_unique_keys(items: Iterable[tuple[str, object]]) -> dict[str, object]:
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
