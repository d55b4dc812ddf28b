r"""Make the form of any Python value. No function here raises an exception or changes a value.

==================================  ====================================================================================
value                               form
==================================  ====================================================================================
`str`                               itself; lone surrogates as ``\udc80``
`bool`, `float`                     itself; ``"NaN"``, ``"Infinity"``, ``"-Infinity"`` as text
`int`                               itself; beyond 64 bits as decimal text, beyond 1024 bits as hexadecimal
`None`, `msgspec.UNSET`             omitted; ``null`` inside JSON
`datetime`, `date`, `time`          ISO 8601 text, with its offset, or ``Z``
`timedelta`                         ISO 8601 duration, such as ``P1DT2S``
`Decimal`, `Fraction`, `complex`    text, such as ``1.10``, ``1/3``, ``1+2j``
`UUID`, `timezone`, `ZoneInfo`      text
`bytes`, `bytearray`, `memoryview`  base64
`pathlib`, `ipaddress`              the text of the path, address, interface or network
`re.Pattern`                        its pattern
`Enum`                              its value
an exception                        the name of its class, such as ``ValueError``; never its text
`list`, `tuple`, `set`              an array, if it holds scalars of one type (sets are sorted); else JSON text. So are
                                    `deque`, `range`, `array`, `UserList` and the views of dicts
`dict`                              flattened by key; if several keys have the same text, such as ``1`` and ``"1"``, all
                                    after the first get a number: ``1#2``. So are `UserDict`, `ChainMap`,
                                    `MappingProxyType` and `sqlite3.Row`
dataclass, attrs, `msgspec.Struct`  flattened by field, as it is stored: no property is read. So are `SimpleNamespace`
                                    and `argparse.Namespace`
URLs and DSNs                       text, without user name and password: those of `urllib.parse`, pydantic, httpx,
                                    yarl, Starlette, SQLAlchemy, urllib3
pydantic's secrets                  ``<masked>``
numpy scalars                       as Python's; `datetime64` is ISO 8601 text; `timedelta64` a duration, or ``3 M``
                                    (months)
numpy arrays                        an array, up to 64 items; else class, shape and type, such as ``<numpy.ndarray
                                    (100,) float64>``. So are `Series` and `Index` of pandas
pandas `DataFrame`                  ``<pandas.DataFrame (100, 3)>``
pandas `Timestamp`, `Timedelta`     as `datetime` and `timedelta`, with nanoseconds; `NaT` and `NA` as `None`
any other object                    ``<module.Class>``, and one warning for its class, unless a converter is registered
a value inside of itself            ``<cycle>``; a value nested more than 32 deep is ``<too deep>``
more than 10,000 values inside one  the first 10,000 of them, and ``<too large>``
==================================  ====================================================================================

A value of a subclass has the form of the nearest class in the table. Values are read as they are stored, and only methods of
the standard library and of the named packages are called: no code of a program's own class runs. (The one exception is the
`tzinfo` of a time, which is asked for its offset.) Therefore a mapping or sequence of a program's own, which could be slow or
endless, is an "other object". All conversions of one property together have half a second; what is not read by then is
``<too slow>``. Containers are copied before they are read, because another thread may change them.

``heliograph.register_converter(Money, lambda money: money.cents)`` gives the values of a class of your own a form. A converter runs
in another thread, with a copy of the caller's context. If it raises or takes too long, its values are ``<module.Class>`` and a
warning is logged; if it returns more than 64 KiB, ``<too large>``.

Dates, numbers and bytes have the form that msgspec gives them in JSON, so that attributes and the JSON Schema agree.

A dict becomes at most 64 attributes, from at most 5 levels of keys. A dict below the fifth level is JSON text under its own
key. All values after the sixty-fourth are in the JSON object of the attribute ``heliograph.event.overflow``, below the name of the
property, together with each value whose key is empty, longer than 128 characters, not printable, or already the name of another
attribute. An empty dict is omitted.
"""

from __future__ import annotations

import contextvars
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from heliograph.events import Privacy
from heliograph.runtime.deadline import run_within
from heliograph.runtime.program_errors import program_errors
from heliograph.values.converters import RegisteredConverter, RunningCall, converter_of, has_fields
from heliograph.values.declarations import (
    NOWHERE,
    Declaration,
    Place,
    field_declarations,
    is_private,
    value_declaration,
)
from heliograph.values.declared_attributes import merge_declarations
from heliograph.values.fields import field_names
from heliograph.values.privacy import DROPPED, PrivacyPolicy, Protected
from heliograph.values.reports import report_failure, report_unknown
from heliograph.values.scalars import EXACT, SCALARS, are_own_forms
from heliograph.values.standard_library import MAX_VALUES, STANDARD, Pairs, Unordered
from heliograph.values.stored import class_name, stored_attributes
from heliograph.values.text import to_json

MAX_NESTING: Final = 32
"""The number of values that can be inside of one another. It keeps Python's stack from overflowing."""
TOO_LARGE: Final = "<too large>"
"""The form of everything after `MAX_VALUES` values, and of too much that a registered converter returned."""
TOO_SLOW: Final = "<too slow>"
"""The form of everything that is not read after `MAX_MILLIS`."""
MAX_MILLIS: Final = 500.0
"""The time that all conversions of one property may take together, in milliseconds."""
_MANY: Final = 16
"""The length of a list from which on its values are looked at together first."""
MAX_CONVERTED_BYTES: Final = 65_536
"""The size of the form of what a registered converter returned, as JSON."""


def form_of(value: object) -> object:
    """Return the documented form of any value: a scalar, `None`, or a list or dict of forms.

    >>> import datetime as dt
    >>> form_of({"when": dt.date(2026, 1, 2), "tags": {"b", "a"}, "size": 2**70})
    {'when': '2026-01-02', 'tags': ['a', 'b'], 'size': '1180591620717411303424'}
    """
    to_form = SCALARS.get(id(type(value)))
    return _build(value, None)[0] if to_form is None else to_form(value)


def protected_form_of(value: object, policy: PrivacyPolicy, place: Place = NOWHERE) -> tuple[object, bool]:
    """Return the form of a value with the privacy that classes inside of it declare, and True if nothing in it was private.

    The privacy of the field that has the value is not applied here; the caller knows it.

    Args:
        value: The value.
        policy: The privacy policy.
        place: The generic classes that the annotation of the field names.
    """
    form, builder = _build(value, policy, place)
    return form, not builder.met_private


class _ConverterMet(BaseException):
    """A registered converter has to run, which needs a time limit. It is no `Exception`, so that every level lets it pass."""


_inside_converter: Final = contextvars.ContextVar("heliograph_inside_converter", default=False)
"""True in the thread of registered converters. One that makes forms itself, as by tracking an event, starts no more threads."""


def _build(value: object, policy: PrivacyPolicy | None, place: Place = NOWHERE) -> tuple[object, _FormBuilder]:
    builder = _FormBuilder(policy, place)
    try:
        return builder.form(value), builder
    except _ConverterMet:
        if not _inside_converter.get():
            return _build_with_converters(value, policy, place)
    builder = _FormBuilder(policy, place, runs_converters=False)
    return builder.form(value), builder


def _build_with_converters(value: object, policy: PrivacyPolicy | None, place: Place) -> tuple[object, _FormBuilder]:
    """Make a form again from the start, in a thread, so that registered converters cannot block the caller."""
    builder = _FormBuilder(policy, place, runs_converters=True)

    def build() -> tuple[object, _FormBuilder]:
        _inside_converter.set(True)
        return builder.form(value), builder

    found = run_within(MAX_MILLIS, build)
    if found is not None:
        return found
    builder.abandon()
    builder = _FormBuilder(policy, place, runs_converters=False)
    return builder.form(value), builder


class _FormBuilder:
    """Makes the form of one value, recursively.

    Args:
        policy: The privacy policy. `None` exports private fields as they are.
        place: The generic classes that the annotation of the value names.
        runs_converters: True calls registered converters, False does not, and `None` raises `_ConverterMet` instead.

    Attributes:
        met_private: True once a field with a declared privacy was met.
    """

    __slots__ = (
        "_call",
        "_end",
        "_is_typed",
        "_parents",
        "_place",
        "_policy",
        "_remaining",
        "_runs_converters",
        "met_private",
    )

    def __init__(
        self, policy: PrivacyPolicy | None, place: Place = NOWHERE, *, runs_converters: bool | None = None
    ) -> None:
        self._policy = policy
        self._place = place  # the place of the current value
        self._is_typed = place.is_typed
        # The ids of the values that the current one is inside of.
        self._parents: tuple[int, ...] = ()
        self._remaining = MAX_VALUES
        # The end of the time for conversions, on the monotonic clock. The first conversion sets it.
        self._end = 0.0
        self._runs_converters = runs_converters
        # The last call of a registered converter.
        self._call: tuple[type, RegisteredConverter, RunningCall] | None = None
        self.met_private = False

    def form(self, value: object) -> object:
        parents = self._parents
        try:
            to_form = EXACT.get(type(value))
            if to_form is not None:
                return to_form(value)
            if id(value) in parents:
                return "<cycle>"
            if len(parents) == MAX_NESTING:
                return "<too deep>"
            self._parents = (*parents, id(value))
            return self._form_by_kind(value)
        except program_errors() as error:
            # A memoryview that was released, for example. The event is emitted nevertheless.
            report_failure(type(value), error)
            return _unknown(value)
        finally:
            self._parents = parents

    def _form_by_kind(self, value: object) -> object:
        cls: Any = type(value)  # mypy does not consider a class hashable
        if cls in _CONTAINERS:
            return self._form_of_plain(value)
        if has_fields(cls):
            return self._form_of_object(value)
        converter = converter_of(cls)
        if converter is None:
            report_unknown(cls)
            return _unknown(value)
        if isinstance(converter, RegisteredConverter):
            return self._form_by_registered(value, converter)
        if self._is_late():
            return TOO_SLOW
        plain = converter(value)
        if self._policy is None:
            return self._form_of_plain(plain)
        form = self._protected(plain, value_declaration(self._place.hints_of(value)), self._form_of_plain)
        return None if form is DROPPED else form

    def _protected(self, value: object, declared: Declaration | None, make: Callable[[object], object]) -> object:
        """Return the exported part of a value, or `DROPPED`, by what is declared for it. ``make`` makes its form."""
        policy, place = self._policy, self._place
        if policy is None or declared is None or declared.is_empty:
            return make(value)
        attribute = declared.attribute
        inner = declared.place if self._is_typed else declared.untyped
        if is_private(inner.otherwise) and not inner.describes(value):
            attribute = merge_declarations([attribute, inner.otherwise])
        privacy = policy.privacy_of(attribute, attribute.name, enclosing=Privacy.PLAIN)
        self.met_private = self.met_private or privacy is not Privacy.PLAIN
        # A hash covers the whole value, so nothing inside of it may be masked or dropped first.
        self._policy, self._place = None if privacy is Privacy.HASH else policy, inner
        try:
            return policy.apply(privacy, make(value))
        finally:
            self._policy, self._place = policy, place

    def _form_of_plain(self, value: object) -> object:
        """Return the form of what a converter returned, which counts as no value of its own."""
        kind = type(value)
        to_form = EXACT.get(kind)
        if to_form is not None:
            return to_form(value)
        if kind in _CONTAINERS:
            value = _CONTAINERS[kind](value)
            kind = type(value)
        if kind is list:
            return self._list_form(value)  # type: ignore[arg-type]
        if kind is Pairs:
            return _with_unique_keys(self._keyed_forms(value))  # type: ignore[arg-type]
        if kind is Unordered:
            # A set has no order. Its forms are sorted, so that equal sets become equal attributes.
            return sorted(self._forms(value), key=to_json)  # type: ignore[arg-type]
        if kind is Protected:
            self.met_private = True
            return value
        return self.form(value)

    def _is_late(self) -> bool:
        now = time.monotonic()
        self._end = self._end or now + MAX_MILLIS / 1000
        return now > self._end

    def _form_by_registered(self, value: object, converter: RegisteredConverter) -> object:
        if self._runs_converters is False or not converter.is_available:
            return _unknown(value)
        if self._runs_converters is None:
            raise _ConverterMet
        if self._is_late():
            return TOO_SLOW
        call = RunningCall()
        self._call = (type(value), converter, call)
        form = self.form(converter(value, call))
        return form if len(to_json(form)) <= MAX_CONVERTED_BYTES else TOO_LARGE

    def abandon(self) -> None:
        """Note that nobody waits for the thread of this builder any more, because its current converter takes too long."""
        if self._call is not None:
            cls, converter, call = self._call
            converter.last_abandoned = call
            report_failure(cls, None)

    def _form_of_object(self, value: object) -> object:
        cls: Any = type(value)
        stored = stored_attributes(value, field_names(cls) or ())
        declared = {} if self._policy is None else field_declarations(self._place.hints_of(value))
        form: dict[str, object] = {}
        place, self._place = self._place, NOWHERE
        for name, item in stored.items():
            part = self._protected(item, declared.get(name), self.form)
            if part is not DROPPED:
                form[name] = part
        self._place = place
        return form

    def _list_form(self, values: list[object]) -> list[object]:
        """Return the form of a list. Many numbers or texts are looked at together, which is faster than a call for each."""
        readable = values[: max(self._remaining, 0)]
        if len(values) < _MANY or not are_own_forms(readable):
            return list(self._forms(values))
        self._remaining -= len(values)
        return [*readable, *([TOO_LARGE] if len(readable) < len(values) else [])]

    def _forms(self, values: Iterable[object]) -> Iterator[object]:
        """Yield the forms of values, and ``<too large>`` in place of all that come after the last that may be read."""
        for value in values:
            self._remaining -= 1
            if self._remaining < 0:
                yield TOO_LARGE
                return
            yield self.form(value)

    def _keyed_forms(self, pairs: Pairs) -> Iterator[tuple[str, object]]:
        """Yield the keys of a mapping as text, each with the form of its value, within the same bound."""
        for key, value in pairs:
            self._remaining -= 1
            if self._remaining < 0:
                yield TOO_LARGE, True
                return
            key_form = self.form(key)
            yield key_form if isinstance(key_form, str) else to_json(key_form), self.form(value)


_CONTAINERS: Final = {cls: STANDARD[cls] for cls in (dict, list, tuple, set, frozenset)}
"""The converters of the exact classes that are common, without a search."""


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
    return f"<{class_name(type(value))}>"
