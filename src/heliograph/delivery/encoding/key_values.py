"""Encoded attributes, remembered by key and value.

Most keys have few values: methods, routes, status codes, names of databases. An attribute that recurs takes a third of the time. If a key has
more values than are kept, its values rarely recur: it is a path or the id of a user, for example. Keeping them would cost more than encoding
them, so none of them is kept any more.
"""

from __future__ import annotations

from typing import Final, TypeVar, Union

from heliograph.delivery.encoding.any_value import SCALAR_ENCODERS
from heliograph.delivery.encoding.headers import HeadersOfKey
from heliograph.delivery.encoding.text import utf8

V = TypeVar("V", bound=Union[str, int])

MAX_KEPT_VALUES: Final = 64
"""The largest number of attributes with one key that are kept."""
MAX_KEPT_BYTES: Final = 128
"""The size of the largest attribute that is kept."""


class KeyValues(dict[V, bytes]):
    """The `KeyValue` of each value of one key, with its length before it, for `repeated_field`.

    Values are texts and integers, or booleans alone: ``True`` and 1 would be one value. They are of exactly these classes, since a subclass may
    define equality by itself. Threads share an object without a lock: each step is one operation of `dict`, and a race can at most keep an attribute
    more for each thread.

    Args:
        key: The key; any value is accepted.

    Attributes:
        headers: The bytes before a value of any class.
    """

    __slots__ = ("_keeps_values", "headers")

    def __init__(self, key: object) -> None:
        super().__init__()
        self.headers = HeadersOfKey(key)
        self._keeps_values = True

    def __missing__(self, value: V) -> bytes:
        if type(value) is str:
            data = utf8(value)  # type: ignore[arg-type]  # it was just checked
            key_value = self.headers[len(data)] + data
        else:
            message = SCALAR_ENCODERS[type(value)](value)
            # `~` of a length is negative: `HeadersOfItems` then knows that the value is no text.
            key_value = self.headers[~len(message)] + message
        if self._keeps_values and len(key_value) <= MAX_KEPT_BYTES:
            if len(self) < MAX_KEPT_VALUES:
                self[value] = key_value
            else:
                self._keeps_values = False
                self.clear()
        return key_value
