"""Encode attributes whose names are known before their values, such as the fields of an event class.

`heliograph.schema.read.generated.key_values` writes code that uses them. The bytes are those of `put_attributes`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from heliograph.delivery.encoding.any_value import SCALAR_ENCODERS
from heliograph.delivery.encoding.attributes import NotCleanError, put_attributes
from heliograph.delivery.encoding.headers import HeadersOfKey
from heliograph.delivery.encoding.key_values import KeyValues
from heliograph.delivery.protobuf import as_bytes, read_fields
from heliograph.semconv import EVENT_OVERFLOW
from heliograph.values.attributes import Attributes

# Dicts are slower with keys of a subclass of str.
_OVERFLOW: Final = str(EVENT_OVERFLOW)
_KEY: Final = 1  # the number of KeyValue.key


class DeclaredAttributes:
    """Encodes attributes with known names. It implements `heliograph.schema.read.generated.key_values.KeyValueEncoder`."""

    def texts(self, name: str) -> Mapping[int, bytes]:
        """Return the bytes before the text of an attribute, by its size in UTF-8."""
        return HeadersOfKey(name)

    def integers(self, name: str) -> Mapping[int, bytes]:
        """Return a mapping from each integer to the encoded attribute."""
        return KeyValues(name)

    def booleans(self, name: str) -> Mapping[bool, bytes]:
        """Return a mapping from each boolean to the encoded attribute."""
        return KeyValues(name)

    def doubles(self, name: str) -> Callable[[float], bytes]:
        """Return the function that encodes the attribute."""
        encode = SCALAR_ENCODERS[float]
        # `~` of a length is negative: `HeadersOfItems` then knows that the value is no text.
        header = HeadersOfKey(name)[~len(encode(0.0))]
        return lambda value: header + encode(value)

    def put(self, key_values: list[bytes], attributes: Attributes) -> None:
        """Append encoded attributes.

        Raises:
            NotCleanError: The SDK would change one, or one of them is the overflow, which an event has once.
        """
        if not attributes:
            return
        if _OVERFLOW in attributes:
            raise NotCleanError
        put_attributes(key_values, attributes, only_clean=True)

    def names(self, key_values: Iterable[bytes]) -> list[str]:
        """Return the names of encoded attributes."""
        return [_name_of(key_value) for key_value in key_values]


def _name_of(key_value: bytes) -> str:
    # Skip the length before the message: a varint, whose last byte alone is less than 0x80.
    start = 0
    while key_value[start] & 0x80:
        start += 1
    return next(as_bytes(value).decode() for number, value in read_fields(key_value[start + 1 :]) if number == _KEY)
