"""Encode fields of text: any value, as UTF-8."""

from __future__ import annotations

from heliograph.delivery.protobuf import VARINTS
from heliograph.values.forms import form_of
from heliograph.values.text import escape_surrogates, to_json


def text_field(tag: bytes, value: object) -> bytes:
    """Return a field that holds the text of any value. It is empty for an empty text and for `None`."""
    data = utf8(value) if type(value) is str else _text_of(value)
    return tag + VARINTS[len(data)] + data if data else b""


def utf8(value: str) -> bytes:
    """Return a text in UTF-8, with lone surrogates as their escapes."""
    # `str.encode(value)`, not `value.encode()`: a subclass may override the method.
    try:
        return str.encode(value)
    except UnicodeEncodeError:
        return escape_surrogates(str.__str__(value)).encode()


def _text_of(value: object) -> bytes:
    """Return the text of a value whose class is not exactly `str`, in UTF-8."""
    if value is None:
        return b""
    kind = type(value)
    # `issubclass` of the real class, not `isinstance`, which believes an object's own `__class__`.
    if issubclass(kind, str):
        return utf8(value)  # type: ignore[arg-type]  # it was just checked
    # protobuf's library accepts bytes as text if they are UTF-8.
    if issubclass(kind, bytes):
        try:
            return bytes.decode(value).encode()  # type: ignore[arg-type]
        except UnicodeDecodeError:
            pass
    form = form_of(value)
    return utf8(form if isinstance(form, str) else to_json(form))
