"""Any value as the `AnyValue` message."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from heliograph.delivery.encoding.protobuf import (
    UINT64_MASK,
    VARINTS,
    text_field,
    utf8,
)
from heliograph.values.forms import (
    INT64_MAX,
    INT64_MIN,
    TOO_LARGE,
    form_of,
    integer_form,
)

C = TypeVar("C")

MAX_VALUES: Final = 2**20
"""How many values inside of one are encoded. Twice as many bytes at least: more than a gRPC server commonly takes."""
BODY_LEVELS: Final = 96
"""Of 100: a body's AnyValue is 4 messages deep in a request, a resource attribute's too."""
ATTRIBUTE_LEVELS: Final = 95

_ARRAY_LEVELS: Final = 2  # ArrayValue, AnyValue
_MAP_LEVELS: Final = 3  # KeyValueList, KeyValue, AnyValue
_pack_double: Final = struct.Struct("<Bd").pack


def any_value(value: object, levels: int) -> bytes:
    """The `AnyValue` message of any value, with room for so many messages inside of it."""
    encode = EXACT.get(type(value))
    return Walk(levels).message(value) if encode is None else encode(value)


def _string(value: str) -> bytes:
    data = utf8(value)
    return b"\x0a" + VARINTS[len(data)] + data


def _integer(value: int) -> bytes:
    if 0 <= value <= INT64_MAX:
        return b"\x18" + VARINTS[value]
    if INT64_MIN <= value < 0:
        return b"\x18" + VARINTS[value & UINT64_MASK]
    return _string(str(integer_form(value)))


def _bytes(value: bytes) -> bytes:
    return b"\x3a" + VARINTS[len(value)] + value


EXACT: Final[Mapping[type, Callable[[Any], bytes]]] = {
    type(None): lambda _: b"",
    bool: lambda value: b"\x10\x01" if value else b"\x10\x00",
    str: _string,
    int: _integer,
    float: lambda value: _pack_double(0x21, value),
    bytes: _bytes,
}
"""The message of a value whose exact class is known."""


_UNREADABLE: Final = _string("<unreadable>")


class Walk:
    """Where the way through a value is.

    Attributes:
        levels: How many messages may be inside of the one that is being made.
        parents: The ids of the values around it.
        values: How many values more may be encoded.
    """

    __slots__ = ("levels", "parents", "values")

    def __init__(self, levels: int) -> None:
        self.levels = levels
        self.parents: tuple[int, ...] = ()
        self.values = MAX_VALUES

    def message(self, value: object) -> bytes:
        """The `AnyValue` message of any value."""
        encode = EXACT.get(type(value))
        if encode is not None:
            return encode(value)
        try:
            return self._by_kind(value)
        except Exception:  # a value's own code may do anything
            with contextlib.suppress(Exception):  # where the stack ends, there is no room for a form either
                return self._form(value)
        return _UNREADABLE

    def _by_kind(self, value: object) -> bytes:
        container = _CONTAINERS.get(type(value))
        if container is not None:
            return container(self, value)
        for kind, encode in _KINDS:
            if isinstance(value, kind):
                return encode(self, value)
        return self._form(value)

    def _form(self, value: object) -> bytes:
        return self.message(form_of(value))

    def array(self, value: Sequence[object]) -> bytes:
        """The message of values in a row."""
        return self._container(b"\x2a", value, _ARRAY_LEVELS, self._items)

    def map(self, value: Mapping[object, object]) -> bytes:
        """The message of values by key."""
        return self._container(b"\x32", value, _MAP_LEVELS, self._pairs)

    def _container(self, tag: bytes, value: C, levels: int, fields: Callable[[C], list[bytes]]) -> bytes:
        parents, room = self.parents, self.levels
        if id(value) in parents:
            return _string("<cycle>")
        if room < (levels if value else 1):
            return _string("<too deep>")
        self.parents, self.levels = (*parents, id(value)), room - levels
        try:
            content = b"".join(fields(value))
        finally:
            self.parents, self.levels = parents, room
        return tag + VARINTS[len(content)] + content

    def _items(self, value: Sequence[object]) -> list[bytes]:
        fields: list[bytes] = []
        for item in value:
            has_room = self._has_room()
            message = self.message(item) if has_room else _string(TOO_LARGE)
            fields += b"\x0a", VARINTS[len(message)], message
            if not has_room:
                break
        return fields

    def _pairs(self, value: Mapping[object, object]) -> list[bytes]:
        fields: list[bytes] = []
        for key, item in (value.copy() if type(value) is dict else value).items():  # another thread may change it
            has_room = self._has_room()
            if has_room:
                pair = key_value(_nested_key_field(key), self.message(item))
            else:
                pair = key_value(key_field(TOO_LARGE), EXACT[bool](True))
            fields += b"\x0a", VARINTS[len(pair)], pair
            if not has_room:
                break
        return fields

    def _has_room(self) -> bool:
        self.values -= 1
        return self.values >= 0


def key_value(key_field: bytes, message: bytes) -> bytes:
    """The `KeyValue` message."""
    return key_field + b"\x12" + VARINTS[len(message)] + message


def key_field(key: object) -> bytes:
    """The key of a `KeyValue`, from any value."""
    return text_field(b"\x0a", key)


def _nested_key_field(key: object) -> bytes:
    try:
        return key_field(str(key))  # as OpenTelemetry's encoder does it
    except Exception:  # a key's own code may do anything
        return key_field(key)


_CONTAINERS: Final[Mapping[type, Callable[[Walk, Any], bytes]]] = {
    list: Walk.array,
    tuple: Walk.array,
    dict: Walk.map,
}
"""The message of a container whose exact class is known."""

_KINDS: Final[Sequence[tuple[Any, Callable[[Walk, Any], bytes]]]] = (
    (str, lambda _, value: _string(value)),
    (int, lambda _, value: _integer(int.__index__(value))),
    (float, lambda _, value: _pack_double(0x21, float.__float__(value))),
    (bytes, lambda _, value: _bytes(bytes(memoryview(value)))),
    (Sequence, Walk.array),
    (Mapping, Walk.map),
)
"""The message of a value whose exact class is not known, by the first kind that it is of: in the order of OpenTelemetry's
encoder."""
