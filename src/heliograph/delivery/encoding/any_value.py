"""Any Python value as OTLP's `AnyValue` message.

Scalars of an exact built-in class take the fast path: one lookup in `SCALAR_ENCODERS`, one call. Everything else goes through
a `ValueEncoder`, which limits depth and size, finds cycles, and survives whatever a value's own code does.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from heliograph.delivery.encoding.text import text_field, utf8
from heliograph.delivery.protobuf import UINT64_MASK, VARINTS
from heliograph.values.forms import (
    INT64_MAX,
    INT64_MIN,
    TOO_LARGE,
    form_of,
    integer_form,
)

C = TypeVar("C")

MAX_VALUES: Final = 2**20
"""The number of values inside one value that are encoded. Each takes at least two bytes, so that many fill more than a gRPC
server commonly accepts."""
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
# KeyValue's fields
_KEY: Final = b"\x0a"
_VALUE: Final = b"\x12"

_pack_double: Final = struct.Struct("<Bd").pack


def any_value(value: object, levels: int) -> bytes:
    """Return the `AnyValue` message of any value, with at most `levels` messages nested inside it."""
    encode = SCALAR_ENCODERS.get(type(value))
    return ValueEncoder(levels).message(value) if encode is None else encode(value)


def _string(value: str) -> bytes:
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
        """Return the `AnyValue` message of any value. No `Exception` of the value's own code comes out of it."""
        encode = SCALAR_ENCODERS.get(type(value))
        if encode is not None:
            return encode(value)
        try:
            return self._by_kind(value)
        except Exception:  # a value's own code may raise anything
            with contextlib.suppress(Exception):  # at the end of the stack, `form_of` fails as well
                return self._plain_form(value)
        return _UNREADABLE

    def _by_kind(self, value: object) -> bytes:
        encode = _CONTAINER_ENCODERS.get(type(value))
        if encode is not None:
            return encode(self, value)
        for kind, encode_kind in _KINDS:
            if isinstance(value, kind):
                return encode_kind(self, value)
        return self._plain_form(value)

    def _plain_form(self, value: object) -> bytes:
        return self.message(form_of(value))

    def array(self, value: Sequence[object]) -> bytes:
        """Return the message of a sequence."""
        return self._container(_ARRAY_VALUE, value, _ARRAY_LEVELS, self._array_values)

    def map(self, value: Mapping[object, object]) -> bytes:
        """Return the message of a mapping."""
        return self._container(_KVLIST_VALUE, value, _MAP_LEVELS, self._map_values)

    def _container(self, tag: bytes, value: C, levels: int, fields: Callable[[C], list[bytes]]) -> bytes:
        """Return the message of a container, or of a text that says why its content is missing."""
        parents, levels_here = self.parents, self.levels
        if id(value) in parents:
            return _string("<cycle>")
        if levels_here < (levels if value else 1):  # an empty container is one message: ArrayValue or KeyValueList
            return _string("<too deep>")
        self.parents, self.levels = (*parents, id(value)), levels_here - levels
        try:
            content = b"".join(fields(value))
        finally:
            self.parents, self.levels = parents, levels_here
        return tag + VARINTS[len(content)] + content

    def _array_values(self, value: Sequence[object]) -> list[bytes]:
        fields: list[bytes] = []
        for item in value:
            is_within_limit = self._count_value()
            message = self.message(item) if is_within_limit else _string(TOO_LARGE)
            fields += _VALUES, VARINTS[len(message)], message
            if not is_within_limit:
                break
        return fields

    def _map_values(self, value: Mapping[object, object]) -> list[bytes]:
        fields: list[bytes] = []
        # A copy of a dict, because another thread may change it meanwhile: the copy is one step of the interpreter.
        for key, item in (value.copy() if type(value) is dict else value).items():
            is_within_limit = self._count_value()
            if is_within_limit:
                pair = key_value(_nested_key_field(key), self.message(item))
            else:
                pair = key_value(key_field(TOO_LARGE), _TRUE)
            fields += _VALUES, VARINTS[len(pair)], pair
            if not is_within_limit:
                break
        return fields

    def _count_value(self) -> bool:
        """Count one more value. Return False if it is past the limit."""
        self.values -= 1
        return self.values >= 0


def key_value(key: bytes, message: bytes) -> bytes:
    """Return the `KeyValue` message of a key from `key_field` and of an `AnyValue` message."""
    return key + _VALUE + VARINTS[len(message)] + message


def key_field(key: object) -> bytes:
    """Return the key field of a `KeyValue`, from any value."""
    return text_field(_KEY, key)


def _nested_key_field(key: object) -> bytes:
    try:
        return key_field(str(key))  # OpenTelemetry's encoder calls `str`, too
    except Exception:  # a key's own code may raise anything
        return key_field(key)


_CONTAINER_ENCODERS: Final[Mapping[type, Callable[[ValueEncoder, Any], bytes]]] = {
    list: ValueEncoder.array,
    tuple: ValueEncoder.array,
    dict: ValueEncoder.map,
}
"""The encoder of each built-in container, by the exact class."""

_KINDS: Final[Sequence[tuple[Any, Callable[[ValueEncoder, Any], bytes]]]] = (
    (str, lambda _, value: _string(value)),
    (int, lambda _, value: _integer(int.__index__(value))),
    (float, lambda _, value: _pack_double(_DOUBLE_VALUE, float.__float__(value))),
    (bytes, lambda _, value: _bytes(bytes(memoryview(value)))),
    (Sequence, ValueEncoder.array),
    (Mapping, ValueEncoder.map),
)
"""The encoders of subclasses: the first kind that the value is an instance of. The order is that of OpenTelemetry's encoder."""
