"""Encodes attributes as fields of messages, with a fast path for log records, spans, span events and links.

The bytes before each value are remembered (`heliograph.delivery.encoding.headers`).

An attribute is encoded without the tag of its field, because only the tag differs between the messages: `repeated_field` adds it
(`heliograph.delivery.protobuf`).
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from opentelemetry.attributes import BoundedAttributes

from heliograph.delivery.encoding.any_value import (
    ATTRIBUTE_LEVELS,
    INT_VALUE,
    SCALAR_ENCODERS,
    ValueEncoder,
    any_value,
    dict_items,
)
from heliograph.delivery.encoding.headers import BoundedCache, HeadersOfKey
from heliograph.delivery.encoding.text import utf8
from heliograph.delivery.protobuf import VARINTS
from heliograph.semconv import AttributeName
from heliograph.values.forms import form_of
from heliograph.values.scalars import INT64_MAX

_headers: Final = BoundedCache(HeadersOfKey)


class NotCleanError(ValueError):
    """The SDK would change or drop an attribute."""


def put_attributes(
    key_values: list[bytes],
    attributes: Mapping[str, object],
    levels: int = ATTRIBUTE_LEVELS,
    *,
    only_clean: bool = False,
    encode_text: Callable[[str], bytes] = str.encode,
) -> None:
    """Append the `KeyValue` of each attribute to `key_values`, with its length before it, for `repeated_field`.

    Args:
        key_values: The encoded attributes.
        attributes: The attributes. Any value is accepted.
        levels: The number of messages that may be nested inside the `AnyValue` of an attribute.
        only_clean: True to accept only attributes that `BoundedAttributes`, the SDK's class, keeps unchanged.
        encode_text: Returns a text in UTF-8. If it fails, all attributes are encoded again, with `utf8`. Almost no text has lone surrogates, so
            the first attempt does not look for them.

    Raises:
        NotCleanError: An attribute is not accepted. `key_values` may have those before it.
    """
    if only_clean and "" in attributes:
        raise NotCleanError
    # The usual class first, without a call.
    begin, pairs = len(key_values), attributes.copy().items() if type(attributes) is dict else items_of(attributes)
    try:
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
                data = encode_text(value)  # type: ignore[arg-type]
                key_values.append(headers[len(data)] + data)
                continue
            if kind is int and 0 <= value <= INT64_MAX:  # type: ignore[operator]  # as in `SCALAR_ENCODERS`, without a call
                message = INT_VALUE + VARINTS[value]  # type: ignore[index]
            elif (encode := SCALAR_ENCODERS.get(kind)) is not None:
                message = encode(value)
            elif only_clean and not _is_clean(value):
                raise NotCleanError
            else:
                message = ValueEncoder(levels).message(value)
            key_values.append(headers[~len(message)] + message)
    except UnicodeEncodeError:  # in a text or in a key
        del key_values[begin:]
        put_attributes(key_values, attributes, levels, only_clean=only_clean, encode_text=utf8)


def _is_clean(value: object) -> bool:
    """Return True for a list or a tuple of scalars. The SDK may read anything else that is no scalar in its own way."""
    kind = type(value)
    return (kind is list or kind is tuple) and all(type(item) in SCALAR_ENCODERS for item in value)  # type: ignore[attr-defined]


def items_of(attributes: Mapping[str, object]) -> Iterable[tuple[object, object]]:
    """Return the items of a mapping, copied at once, since another thread may change it meanwhile.

    The SDK makes `BoundedAttributes` of any mapping. A mapping of an unknown class, whose methods could be endless, is read only if its
    form is a dict.
    """
    # `ReadableSpan.attributes` is a proxy. It has no attribute for its mapping, and each of its methods calls that of the mapping.
    while type(attributes) is MappingProxyType:
        [attributes] = gc.get_referents(attributes)
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
        message = any_value(value, levels)
        yield tag + HeadersOfKey(key)[~len(message)] + message
