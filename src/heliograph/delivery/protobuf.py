"""Protobuf's wire format, written and read by hand.

The modules of `encoding` put fields together from tags, `VARINTS` and values of a fixed size. They know the tags of their own messages
alone.

Writing: log records are encoded on the path of every event, where protobuf's library costs several times as much (see
`heliograph.delivery.encoding`). Reading: only the few small messages in a server's response. The library would reject a whole
response because of one byte in its error message that is not UTF-8, and records whose response cannot be read are sent again.

A message is a row of fields. A field is a tag, ``field number << 3 | wire type`` as a varint, and a value:

=========  ======================  =====================================================
wire type  name                    value
=========  ======================  =====================================================
0          varint                  an integer, 7 bits a byte, the lowest first
1          64-bit                  8 bytes, little-endian
2          length-delimited        a length as a varint, then that number of bytes
3, 4       groups                  not in proto3; an error here
5          32-bit                  4 bytes, little-endian
=========  ======================  =====================================================

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

UINT64_MASK: Final = 2**64 - 1
"""A negative integer is written as the varint of its two's complement, which ``value & UINT64_MASK`` is."""

_UINT32_MAX: Final = 2**32 - 1
_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES: Final = {_FIXED64: 8, _FIXED32: 4}
_MAX_VARINT_BYTES: Final = 10
_SEVEN_BITS: Final = 0x7F
_CONTINUED: Final = 0x80
# This covers almost all lengths in a record.
_CACHED_VARINTS: Final = 2**11


class _Varints(dict[int, bytes]):
    """The varint of each non-negative integer, as a mapping: a lookup costs a third of a function call.

    Small integers are in the mapping from the start. Others are computed at each lookup and never stored, because a
    program chooses them and could fill the memory.
    """

    __slots__ = ()

    def __missing__(self, value: int) -> bytes:
        first, second = value & _SEVEN_BITS | _CONTINUED, value >> 7
        if second <= _SEVEN_BITS:
            return bytes((first, second))
        # Two bytes in each step, since a step costs as much as a byte.
        return bytes((first, second & _SEVEN_BITS | _CONTINUED)) + self[value >> 14]


VARINTS: Final = _Varints({value: bytes((value,)) for value in range(_SEVEN_BITS + 1)})
VARINTS.update({value: VARINTS[value] for value in range(_CACHED_VARINTS)})


class FieldHeads(dict[int, bytes]):
    """The bytes before a value of some length in one field: its tag and the length, as a mapping for the same reason as `VARINTS`.

    Args:
        tag: The field's tag.
    """

    __slots__ = ("_tag",)

    def __init__(self, tag: bytes) -> None:
        super().__init__({size: tag + VARINTS[size] for size in range(_CACHED_VARINTS)})
        self._tag = tag

    def __missing__(self, size: int) -> bytes:
        return self._tag + VARINTS[size]


def fixed_field(pack: Callable[[int, int], bytes], tag: int, value: int | None) -> bytes:
    """Return a field of four or eight bytes. It is empty for zero, `None` and whatever does not fit.

    Args:
        pack: `struct.Struct.pack` for the tag and the value.
        tag: The field's tag.
        value: The value; any object is accepted.
    """
    try:
        return pack(tag, value if type(value) is int else int(value)) if value else b""
    except Exception:
        # The value is out of range, or not a number.
        return b""


def repeated_field(tag: bytes, messages: Sequence[bytes]) -> bytes:
    """Return a repeated field of messages that have their length before them."""
    return tag + tag.join(messages) if messages else b""


def count_field(tag: bytes, count: int) -> bytes:
    """Return a field that holds a number of things, in 32 bits. It is empty for none."""
    return tag + VARINTS[min(count, _UINT32_MAX)] if count > 0 else b""


def identifier_field(head: bytes, value: int, size: int) -> bytes:
    """Return a field of bytes that holds an integer in big-endian order. It is empty for zero and whatever does not fit.

    Args:
        head: The field's tag and its length.
        value: The integer; any object is accepted.
        size: The number of bytes to write.
    """
    try:
        return head + int.to_bytes(value, size, "big") if value else b""
    except Exception:
        # The value is out of range, or not an integer.
        return b""


def read_fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the number and the value of each field of a message, in order.

    Varints are yielded as unsigned integers of 64 bits (see `as_int64`), all other values as bytes.

    Raises:
        ValueError: The bytes are not a message. This is raised when the iteration comes to the first wrong field.
    """
    for number, value, _ in _read_fields(message):
        yield number, value


def split_fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the number of each field of a message, and its bytes as they are, from its tag on: together, they are the message.

    Raises:
        ValueError: The bytes are not a message, as for `read_fields`.
    """
    begin = 0
    for number, _, end in _read_fields(message):
        yield number, message[begin:end]
        begin = end


def _read_fields(message: bytes) -> Iterator[tuple[int, int | bytes, int]]:
    """Yield the number and the value of each field, and the position after it."""
    position = 0
    while position < len(message):
        tag, position = _read_varint(message, position)
        number, wire_type = tag >> 3, tag & 7
        if number == 0:
            raise ValueError("not a protobuf message: a field has no number")
        if wire_type == _VARINT:
            value, position = _read_varint(message, position)
            yield number, value, position
            continue
        if wire_type == _LENGTH_DELIMITED:
            size, position = _read_varint(message, position)
        elif wire_type in _FIXED_SIZES:
            size = _FIXED_SIZES[wire_type]
        else:
            raise ValueError("not a protobuf message: a field has an unknown wire type")
        if position + size > len(message):
            raise ValueError("not a protobuf message: a field is cut off")
        begin, position = position, position + size
        yield number, message[begin:position], position


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    """Return the varint at a position, and the position after it."""
    value = 0
    for count, byte in enumerate(message[position : position + _MAX_VARINT_BYTES]):
        value |= (byte & _SEVEN_BITS) << (7 * count)
        if byte < _CONTINUED:
            return value & UINT64_MASK, position + count + 1
    raise ValueError("not a protobuf message: an integer has no end")


def as_int64(value: int | bytes | None) -> int:
    """Return a varint as a signed integer of 64 bits; 0 for a field of another wire type or none."""
    if not isinstance(value, int):
        return 0
    return value - 2**64 if value >= 2**63 else value


def as_bytes(value: int | bytes | None) -> bytes:
    """Return the value of a length-delimited field; no bytes for a field of another wire type or none."""
    return value if isinstance(value, bytes) else b""
