"""Encode any Python value as OTLP's `AnyValue` message.

Scalars of an exact built-in class take the fast path: one lookup in `SCALAR_ENCODERS`, one call. Everything else goes through
a `ValueEncoder`, which limits depth and size, finds cycles, and survives whatever fails while a value is read.

No code of a program's own class runs, because it could be slow or endless: a subclass of a built-in class is read by the methods
of that class, and any other value has the form that `heliograph.values.forms` makes of it.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import struct
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from heliograph.delivery.encoding.headers import BoundedCache, HeadersOfItems, HeadersOfKey
from heliograph.delivery.encoding.text import utf8
from heliograph.delivery.protobuf import UINT64_MASK, VARINTS, repeated_field
from heliograph.values.forms import TOO_LARGE, form_of
from heliograph.values.scalars import INT64_MAX, INT64_MIN, integer_form

C = TypeVar("C", bound=Collection[Any])

MAX_VALUES: Final = 2**20
"""The largest number of values inside one value that are encoded. Each, except `None`, takes at least four bytes, so they fill the 4 MiB
that a gRPC server commonly accepts."""
BODY_LEVELS: Final = 96
"""The number of messages that may be nested inside the `AnyValue` of a body or of a resource attribute. Protobuf's parsers
accept 100, and such an `AnyValue` is itself 4 messages deep in a request."""
ATTRIBUTE_LEVELS: Final = 95
"""The same for an attribute of a log record or of a scope, whose `AnyValue` is one message deeper."""

_ARRAY_LEVELS: Final = 2  # ArrayValue, AnyValue
_MAP_LEVELS: Final = 3  # KeyValueList, KeyValue, AnyValue

# Tags of AnyValue's fields, one for each type of value.
_STRING_VALUE: Final = b"\x0a"
_TRUE: Final = b"\x10\x01"  # the field bool_value with its value
_FALSE: Final = b"\x10\x00"
_INT_VALUE: Final = b"\x18"
_DOUBLE_VALUE: Final = 0x21
_ARRAY_VALUE: Final = b"\x2a"
_KVLIST_VALUE: Final = b"\x32"
_BYTES_VALUE: Final = b"\x3a"
# ArrayValue.values and KeyValueList.values
_VALUES: Final = b"\x0a"

_pack_double: Final = struct.Struct("<Bd").pack


def any_value(value: object, levels: int) -> bytes:
    """Return the `AnyValue` message of any value, with at most `levels` messages nested inside it."""
    encode = SCALAR_ENCODERS.get(type(value))
    return ValueEncoder(levels).message(value) if encode is None else encode(value)


def _string(value: str) -> bytes:
    try:
        data = str.encode(value)  # as `utf8` does, without a call
    except UnicodeEncodeError:
        data = utf8(value)
    return _STRING_VALUE + VARINTS[len(data)] + data


def _integer(value: int) -> bytes:
    if 0 <= value <= INT64_MAX:
        return _INT_VALUE + VARINTS[value]
    if INT64_MIN <= value < 0:
        return _INT_VALUE + VARINTS[value & UINT64_MASK]
    return _string(str(integer_form(value)))


def _bytes(value: bytes) -> bytes:
    return _BYTES_VALUE + VARINTS[len(value)] + value


SCALAR_ENCODERS: Final[Mapping[type, Callable[[Any], bytes]]] = {
    type(None): lambda _: b"",
    bool: lambda value: _TRUE if value else _FALSE,
    str: _string,
    int: _integer,
    float: lambda value: _pack_double(_DOUBLE_VALUE, value),
    bytes: _bytes,
}
"""The encoder of each scalar class. It is chosen by the exact class, because a subclass may override anything."""


_UNREADABLE: Final = _string("<unreadable>")
_TOO_LARGE: Final = _string(TOO_LARGE)


class ValueEncoder:
    """Encodes one value with everything inside it. It is used for one value and thrown away.

    Attributes:
        levels: The number of messages that may still be nested inside the current one.
        parents: The ids of the containers around the current value, to find cycles.
        values: The number of values that may still be encoded.
    """

    __slots__ = ("levels", "parents", "values")

    def __init__(self, levels: int) -> None:
        self.levels = levels
        self.parents: tuple[int, ...] = ()
        self.values = MAX_VALUES

    def message(self, value: object) -> bytes:
        """Return the `AnyValue` message of any value. It raises no `Exception`."""
        encode = SCALAR_ENCODERS.get(type(value))
        if encode is not None:
            return encode(value)
        try:
            return self._by_kind(value)
        except Exception:
            # For example, another thread changes a dict again and again.
            # After a RecursionError, `form_of` may fail as well.
            with contextlib.suppress(Exception):
                return self._plain_form(value)
        return _UNREADABLE

    def _by_kind(self, value: object) -> bytes:
        kind = type(value)
        encode = _CONTAINER_ENCODERS.get(kind)
        if encode is not None:
            return encode(self, value)
        for base, encode_base in _KINDS:
            if issubclass(kind, base):
                return encode_base(self, value)
        return self._plain_form(value)

    def _plain_form(self, value: object) -> bytes:
        return self.message(form_of(value))

    def array(self, value: object, items: Sequence[object]) -> bytes:
        """Return the message of a sequence with these items."""
        return self._container(_ARRAY_VALUE, value, items, _ARRAY_LEVELS, self._array_values)

    def map(self, value: object, items: Collection[tuple[object, object]]) -> bytes:
        """Return the message of a mapping with these keys and values."""
        return self._container(_KVLIST_VALUE, value, items, _MAP_LEVELS, self._map_values)

    def _container(self, tag: bytes, value: object, items: C, levels: int, fields: Callable[[C], list[bytes]]) -> bytes:
        """Return the message of a container, or of a text that says why its content is missing."""
        parents, levels_here = self.parents, self.levels
        if id(value) in parents:
            return _string("<cycle>")
        # An empty container is one message: ArrayValue or KeyValueList.
        if levels_here < (levels if items else 1):
            return _string("<too deep>")
        self.parents, self.levels = (*parents, id(value)), levels_here - levels
        try:
            content = repeated_field(_VALUES, fields(items))
        finally:
            self.parents, self.levels = parents, levels_here
        return tag + VARINTS[len(content)] + content

    def _array_values(self, items: Sequence[object]) -> list[bytes]:
        fields: list[bytes] = []
        for item in items:
            self.values -= 1
            if self.values < 0:
                fields.append(VARINTS[len(_TOO_LARGE)] + _TOO_LARGE)
                break
            if type(item) is str:
                data = utf8(item)
                fields.append(_item_headers[len(data)] + data)
            else:
                message = self.message(item)
                # `~` of a length is negative: `HeadersOfItems` then knows that the item is no text.
                fields.append(_item_headers[~len(message)] + message)
        return fields

    def _map_values(self, items: Collection[tuple[object, object]]) -> list[bytes]:
        fields: list[bytes] = []
        for key, item in items:
            self.values -= 1
            if self.values < 0:
                fields.append(_headers[TOO_LARGE][~len(_TRUE)] + _TRUE)
                break
            headers = _headers[key] if type(key) is str else _headers_of(key)
            if type(item) is str:
                data = utf8(item)
                fields.append(headers[len(data)] + data)
            else:
                message = self.message(item)
                fields.append(headers[~len(message)] + message)
        return fields


def _headers_of(key: object) -> HeadersOfKey:
    return HeadersOfKey(str(key) if type(key) in _TEXTS_OF_THE_SDK else key)


_item_headers: Final = HeadersOfItems()
_headers: Final = BoundedCache(HeadersOfKey)
"""The headers of keys inside values. They have a cache of their own, so that the keys of a user's JSON do not displace those of attributes."""

_TEXTS_OF_THE_SDK: Final = frozenset({int, float, bool, type(None)})
"""The classes of keys that are written as Python's `str` writes them, as OpenTelemetry's encoder does, and not as JSON does."""


def dict_items(value: dict[object, object]) -> Collection[tuple[object, object]]:
    """Return the keys and values of a dict, copied, because another thread may change it meanwhile.

    A subclass is read by the methods of `dict` or `OrderedDict`. It may have its own `copy`, `items` or `__iter__`.
    """
    if type(value) is dict:
        # A copy is one step of the interpreter, so no other thread can change the dict during it.
        return value.copy().items()
    items = collections.OrderedDict.items if issubclass(type(value), collections.OrderedDict) else dict.items
    return list(items(value))  # type: ignore[arg-type]  # an `OrderedDict` has an order of its own


def _first(items: Iterator[object]) -> Sequence[object]:
    """Return the items that may be encoded, and one more, by which the encoder finds that there are too many."""
    return list(itertools.islice(items, MAX_VALUES + 1))


_CONTAINER_ENCODERS: Final[Mapping[type, Callable[[ValueEncoder, Any], bytes]]] = {
    list: lambda encoder, value: encoder.array(value, value),
    tuple: lambda encoder, value: encoder.array(value, value),
    dict: lambda encoder, value: encoder.map(value, dict_items(value)),
}
"""The encoder of each built-in container, by the exact class."""

_KINDS: Final[Sequence[tuple[type, Callable[[ValueEncoder, Any], bytes]]]] = (
    (str, lambda _, value: _string(value)),
    (int, lambda _, value: _integer(int.__index__(value))),
    (float, lambda _, value: _pack_double(_DOUBLE_VALUE, float.__float__(value))),
    (bytes, lambda _, value: _bytes(bytes.__getitem__(value, slice(None)))),
    (list, lambda encoder, value: encoder.array(value, _first(list.__iter__(value)))),
    (tuple, lambda encoder, value: encoder.array(value, _first(tuple.__iter__(value)))),
    (dict, lambda encoder, value: encoder.map(value, dict_items(value))),
    (collections.deque, lambda encoder, value: encoder.array(value, _first(collections.deque.__iter__(value)))),
    (range, lambda encoder, value: encoder.array(value, value)),
)
"""The encoders of subclasses: of the first class that the value's class is a subclass of. The order is that of OpenTelemetry's
encoder. `issubclass` with a built-in class runs no code of the value's class."""
