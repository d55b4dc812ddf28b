"""Attributes as fields: quickly, where they are those of log records, of which there are many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

from heliograph.delivery.encoding.any_value import (
    ATTRIBUTE_LEVELS,
    EXACT,
    Walk,
    any_value,
    key_field,
    key_value,
)
from heliograph.delivery.encoding.protobuf import VARINTS, utf8
from heliograph.semconv import AttributeName
from heliograph.values.forms import form_of

T = TypeVar("T")

MAX_CACHED_KEYS: Final = 1024
MAX_CACHED_KEY_LENGTH: Final = 128
MAX_CACHED_SIZES: Final = 32


class _Headers(dict[int, bytes]):
    """What comes before an attribute's value in a log record, by the size of what follows.

    A size that is not negative is that of a text in UTF-8; ``~size`` is that of any other `AnyValue` message. The bytes are
    a function of key and size alone, and making them costs more than all else about a short value.
    """

    __slots__ = ("_key",)

    def __init__(self, key: object) -> None:
        super().__init__()
        self._key = key_field(key)

    def __missing__(self, size: int) -> bytes:
        text_head = b"\x0a" + VARINTS[size] if size >= 0 else b""
        message_size = len(text_head) + size if size >= 0 else ~size
        head = self._key + b"\x12" + VARINTS[message_size] + text_head
        header = b"\x32" + VARINTS[len(head) - len(text_head) + message_size] + head
        if len(self) >= MAX_CACHED_SIZES:
            self.clear()
        self[size] = header
        return header


class Known(dict[str, T]):
    """What was made of short texts. They may be chosen by an attacker: it is emptied when it is full.

    Args:
        make: Makes it.
    """

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[str], T]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, text: str) -> T:
        made = self._make(text)
        if len(text) <= MAX_CACHED_KEY_LENGTH:
            if len(self) >= MAX_CACHED_KEYS:
                self.clear()
            self[str(text)] = made
        return made


_keys: Final = Known(_Headers)


def put_attributes(parts: list[bytes], attributes: Mapping[str, object]) -> None:
    """Add the fields of a log record's attributes."""
    begin, pairs = len(parts), items_of(attributes)
    try:
        _put_pairs(parts, pairs, str.encode)
    except UnicodeEncodeError:  # of a text, or of a key: once more, with care for each
        del parts[begin:]
        _put_pairs(parts, pairs, utf8)


def _put_pairs(parts: list[bytes], pairs: Iterable[tuple[object, object]], encode_text: Callable[[Any], bytes]) -> None:
    put = parts.append
    for key, value in pairs:
        kind = type(key)
        # Both equal what has the same text; another subclass of `str` may equal what it is not.
        headers = _keys[key] if kind is str or kind is AttributeName else _Headers(key)  # type: ignore[index]
        kind = type(value)
        if kind is str:
            data = encode_text(value)
            put(headers[len(data)])
            put(data)
        else:
            encode = EXACT.get(kind)
            message = encode(value) if encode is not None else Walk(ATTRIBUTE_LEVELS).message(value)
            put(headers[~len(message)])
            put(message)


def items_of(attributes: Mapping[str, object]) -> Iterable[tuple[object, object]]:
    """Its items, read at once. `copy` is for the SDK's `BoundedAttributes`, which iterate five times slower."""
    try:
        copied: object = attributes.copy() if hasattr(attributes, "copy") else attributes
        return copied.items() if type(copied) is dict else dict(attributes.items()).items()
    except Exception:  # a mapping's own code may do anything
        form = form_of(attributes)
        return form.items() if isinstance(form, dict) else ()


def attribute_fields(tag: bytes, attributes: Mapping[str, object] | None, levels: int) -> Iterator[bytes]:
    """A field for each attribute of what is encoded once: not worth keeping headers for."""
    for key, value in () if attributes is None else items_of(attributes):
        field = key_value(key_field(key), any_value(value, levels))
        yield tag + VARINTS[len(field)] + field
