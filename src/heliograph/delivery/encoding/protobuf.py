"""Fields of protobuf's messages, as bytes.

Field numbers are those of https://github.com/open-telemetry/opentelemetry-proto/tree/main/opentelemetry/proto; a tag is
``number << 3 | wire type``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from heliograph.values.forms import form_of
from heliograph.values.text import escape_surrogates, to_json

UINT64_MASK: Final = 2**64 - 1
"""An integer below zero is the varint of its two's complement."""


class _Varints(dict[int, bytes]):
    """The base 128 varint of each integer that is not negative. A lookup costs a third of a call."""

    __slots__ = ()

    def __missing__(self, value: int) -> bytes:
        out = bytearray()
        while value > _SEVEN_BITS:
            out.append(value & _SEVEN_BITS | 0x80)
            value >>= 7
        out.append(value)
        return bytes(out)


_SEVEN_BITS: Final = 0x7F
VARINTS: Final = _Varints()
VARINTS.update({value: VARINTS[value] for value in range(1 << 11)})


def fixed(pack: Callable[[int, int], bytes], tag: int, value: int | None) -> bytes:
    """A field of four or eight bytes; nothing of a zero, and of what has no place in it."""
    try:
        return pack(tag, int(value)) if value else b""
    except Exception:  # out of range, or no number at all
        return b""


def identifier(head: bytes, value: int, size: int) -> bytes:
    """A field of bytes, from an integer; nothing of a zero, and of what has no place in it."""
    try:
        return head + int.to_bytes(value, size, "big") if value else b""
    except Exception:  # out of range, or no integer at all
        return b""


def text_field(tag: bytes, value: object) -> bytes:
    """A field of text, from any value; nothing of an empty one."""
    data = utf8(value) if type(value) is str else _text_form(value)
    return tag + VARINTS[len(data)] + data if data else b""


def _text_form(value: object) -> bytes:
    """The text of what is to be text; of `None`, none."""
    if value is None:
        return b""
    kind = type(value)
    if issubclass(kind, str):
        return utf8(value)  # type: ignore[arg-type]  # just shown
    if issubclass(kind, bytes):  # protobuf takes them as text, if they are
        try:
            return bytes.decode(value).encode()  # type: ignore[arg-type]
        except UnicodeDecodeError:
            pass
    form = form_of(value)
    return utf8(form if isinstance(form, str) else to_json(form))


def utf8(value: str) -> bytes:
    """A text in UTF-8; lone surrogates have their escapes."""
    try:
        return str.encode(value)
    except UnicodeEncodeError:
        return escape_surrogates(str.__str__(value)).encode()
