"""Attributes as fields of messages, with a fast path for those of log records, spans, span events and links.

The same few keys come with every event, with values whose sizes repeat. So the bytes before a value (lengths and key) are computed
once for each key and size, and kept. Keys and sizes may be chosen by an attacker, for example by way of a user's JSON: both caches
are emptied when they are full.

An attribute is encoded without the tag of its field, because only the tag differs between the messages: `repeated_field` adds it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeVar

from opentelemetry.attributes import BoundedAttributes

from heliograph.delivery.encoding.any_value import (
    ATTRIBUTE_LEVELS,
    SCALAR_ENCODERS,
    ValueEncoder,
    any_value,
    dict_items,
    key_field,
    key_value,
)
from heliograph.delivery.encoding.text import utf8
from heliograph.delivery.protobuf import VARINTS
from heliograph.semconv import AttributeName
from heliograph.values.forms import form_of

T = TypeVar("T")

MAX_CACHED_KEYS: Final = 1024
"""The number of texts in one `BoundedCache`."""
MAX_CACHED_KEY_LENGTH: Final = 128
"""The length of the longest text that a `BoundedCache` keeps."""
MAX_CACHED_SIZES: Final = 32
"""The number of sizes that are cached for one key."""

_VALUE: Final = b"\x12"  # KeyValue.value
_STRING_VALUE: Final = b"\x0a"  # AnyValue.string_value


class HeadersOfKey(dict[int, bytes]):
    """The bytes before an attribute's value, for one key, by the size of the value: the length of the `KeyValue`, and its key.

    A size of 0 or more is the length of a text in UTF-8, and the header ends just before the text. A negative size is
    ``~length`` of the `AnyValue` message of any other value, and the header ends just before that message. One mapping for
    both saves a second lookup for each attribute.

    Args:
        key: The key; any value is accepted.
    """

    __slots__ = ("_key",)

    def __init__(self, key: object) -> None:
        super().__init__()
        self._key = key_field(key)

    def __missing__(self, size: int) -> bytes:
        text_head = _STRING_VALUE + VARINTS[size] if size >= 0 else b""
        message_size = len(text_head) + size if size >= 0 else ~size
        head = self._key + _VALUE + VARINTS[message_size] + text_head
        header = VARINTS[len(head) - len(text_head) + message_size] + head
        if len(self) >= MAX_CACHED_SIZES:
            self.clear()
        self[size] = header
        return header


class BoundedCache(dict[str, T]):
    """Results of a function by its argument, which is a text.

    Long texts are not kept, and the cache is emptied when it is full. Emptying costs less than finding the least recently used
    text, and only an attacker or a misuse fills it. Threads share it without a lock: each step is one operation of `dict`,
    and an entry that another thread removed is computed again.

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


_headers: Final = BoundedCache(HeadersOfKey)


class NotCleanError(ValueError):
    """The SDK would change or drop an attribute."""


def put_attributes(
    key_values: list[bytes],
    attributes: Mapping[str, object],
    levels: int = ATTRIBUTE_LEVELS,
    *,
    only_clean: bool = False,
) -> None:
    """Append the `KeyValue` of each attribute to `key_values`, with its length before it, for `repeated_field`.

    Args:
        key_values: The encoded attributes.
        attributes: The attributes. Any value is accepted.
        levels: The number of messages that may be nested inside the `AnyValue` of an attribute.
        only_clean: True to accept only attributes that `BoundedAttributes`, the SDK's class, takes as they are.

    Raises:
        NotCleanError: An attribute is not accepted. `key_values` may have those before it.
    """
    if only_clean and "" in attributes:
        raise NotCleanError
    # The usual class first, without a call.
    begin, pairs = len(key_values), attributes.copy().items() if type(attributes) is dict else items_of(attributes)
    # Almost no text has lone surrogates, so the first try does not look for them.
    try:
        _put_pairs(key_values.append, pairs, str.encode, levels, only_clean)
    except UnicodeEncodeError:  # in a text or in a key
        del key_values[begin:]
        _put_pairs(key_values.append, pairs, utf8, levels, only_clean)


def _put_pairs(
    put: Callable[[bytes], None],
    pairs: Iterable[tuple[object, object]],
    encode_text: Callable[[Any], bytes],
    levels: int,
    only_clean: bool,
) -> None:
    for key, value in pairs:
        kind = type(key)
        # Keys of these two classes are equal exactly if their texts are. Another subclass of `str` may define equality by
        # itself, and would find or replace the headers of other keys.
        if kind is str or kind is AttributeName:
            headers = _headers[key]  # type: ignore[index]
        elif only_clean:
            raise NotCleanError
        else:
            headers = HeadersOfKey(key)
        kind = type(value)
        if kind is str:
            data = encode_text(value)
            put(headers[len(data)] + data)
            continue
        encode = SCALAR_ENCODERS.get(kind)
        if encode is not None:
            message = encode(value)
        elif only_clean and not _is_clean(value):
            raise NotCleanError
        else:
            message = ValueEncoder(levels).message(value)
        put(headers[~len(message)] + message)


def repeated_field(tag: bytes, messages: Sequence[bytes]) -> bytes:
    """Return a repeated field of messages that have their length before them, such as those of `put_attributes`."""
    return tag + tag.join(messages) if messages else b""


def _is_clean(value: object) -> bool:
    """Return True for a list or a tuple of scalars. The SDK may read anything else that is no scalar in its own way."""
    kind = type(value)
    return (kind is list or kind is tuple) and all(type(item) in SCALAR_ENCODERS for item in value)  # type: ignore[attr-defined]


def items_of(attributes: Mapping[str, object]) -> Iterable[tuple[object, object]]:
    """Return the items of a mapping, copied at once, since another thread may change it meanwhile.

    The SDK makes `BoundedAttributes` of any mapping. One of another class, whose code could be endless, has no items.
    """
    while type(attributes) is MappingProxyType:  # of `ReadableSpan.attributes`
        [attributes] = gc.get_referents(
            attributes
        )  # there is no attribute for it, and every method calls the mapping's own
    kind = type(attributes)
    if kind is BoundedAttributes:
        # `copy`, because `BoundedAttributes` iterate five times slower than the dict that they copy themselves to.
        return attributes.copy().items()  # type: ignore[attr-defined,no-any-return]
    if issubclass(kind, dict):
        return dict_items(attributes)  # type: ignore[arg-type]  # `issubclass` does not ask the value for its `__class__`
    form = form_of(attributes)
    return form.items() if isinstance(form, dict) else ()


def attribute_fields(tag: bytes, attributes: Mapping[str, object] | None, levels: int) -> Iterator[bytes]:
    """Yield a field for each attribute of a resource or a scope. They are encoded once, so nothing is cached."""
    for key, value in () if attributes is None else items_of(attributes):
        field = key_value(key_field(key), any_value(value, levels))
        yield tag + VARINTS[len(field)] + field
