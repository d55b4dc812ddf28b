"""The bytes before the values of attributes, of maps and of arrays: lengths and a key.

The same few keys come with every event, with values whose sizes repeat. So the bytes before a value are computed once for each key and
size, and kept. An attacker may choose keys and sizes, for example in a user's JSON. So the caches of both are emptied when they are full.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final, TypeVar

from heliograph.delivery.encoding.text import text_field
from heliograph.delivery.protobuf import VARINTS

T = TypeVar("T")

MAX_CACHED_KEYS: Final = 1024
"""The largest number of texts in one `BoundedCache`."""
MAX_CACHED_KEY_LENGTH: Final = 128
"""The length of the longest text that a `BoundedCache` keeps."""
MAX_CACHED_SIZES: Final = 32
"""The largest number of sizes that are cached for one key."""

# KeyValue's fields
_KEY: Final = b"\x0a"
_VALUE: Final = b"\x12"
_STRING_VALUE: Final = b"\x0a"  # AnyValue.string_value


class HeadersOfItems(dict[int, bytes]):
    """The bytes before an item of an array, by the size of the item: the length of its `AnyValue`.

    A size of 0 or more is the length of a text in UTF-8, and the header ends just before the text. A negative size is
    ``~length`` of the `AnyValue` message of any other value, and the header ends just before that message. One mapping for
    both saves a second lookup for each value.
    """

    __slots__ = ()
    max_sizes: ClassVar[int] = 1024

    def __missing__(self, size: int) -> bytes:
        text_head = _STRING_VALUE + VARINTS[size] if size >= 0 else b""
        message_size = len(text_head) + size if size >= 0 else ~size
        header = self._before_message(message_size) + text_head
        if len(self) >= self.max_sizes:
            self.clear()
        self[size] = header
        return header

    def _before_message(self, message_size: int) -> bytes:
        return VARINTS[message_size]


class HeadersOfKey(HeadersOfItems):
    """The bytes before a value with a key, in the same way: the length of the `KeyValue`, the key, and the length of the `AnyValue`.

    Args:
        key: The key; any value is accepted.
    """

    __slots__ = ("_key",)
    max_sizes = MAX_CACHED_SIZES

    def __init__(self, key: object) -> None:
        super().__init__()
        self._key = text_field(_KEY, key)

    def _before_message(self, message_size: int) -> bytes:
        head = self._key + _VALUE + VARINTS[message_size]
        return VARINTS[len(head) + message_size] + head


class BoundedCache(dict[str, T]):
    """Remembers the results of a function of a text.

    Long texts are not kept, and the cache is emptied when it is full. Emptying costs less than finding the least recently used
    text, and only an attacker or a misuse fills it. Threads share it without a lock: each step is one operation of `dict`,
    and a result that another thread removed is computed again.

    Args:
        compute: The function.
    """

    __slots__ = ("_compute",)

    def __init__(self, compute: Callable[[str], T]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, text: str) -> T:
        result = self._compute(text)
        if len(text) <= MAX_CACHED_KEY_LENGTH:
            if len(self) >= MAX_CACHED_KEYS:
                self.clear()
            self[str(text)] = result
        return result
