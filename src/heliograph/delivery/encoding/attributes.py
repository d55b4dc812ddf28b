"""Encode attributes as fields of messages, with a fast path for log records, spans, span events and links.

What recurs is remembered: whole attributes (`heliograph.delivery.encoding.key_values`), or the bytes before their values
(`heliograph.delivery.encoding.headers`).

An attribute is encoded without the tag of its field, because only the tag differs between the messages: `repeated_field` adds it
(`heliograph.delivery.protobuf`).
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, Union

from opentelemetry.attributes import BoundedAttributes

from heliograph.delivery.encoding.any_value import (
    ATTRIBUTE_LEVELS,
    SCALAR_ENCODERS,
    ValueEncoder,
    any_value,
    dict_items,
)
from heliograph.delivery.encoding.headers import BoundedCache, HeadersOfKey
from heliograph.delivery.encoding.key_values import KeyValues
from heliograph.semconv import AttributeName
from heliograph.values.forms import form_of

_known: Final[BoundedCache[KeyValues[Union[str, int]]]] = BoundedCache(KeyValues)


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
        only_clean: True to accept only attributes that `BoundedAttributes`, the SDK's class, keeps unchanged.

    Raises:
        NotCleanError: An attribute is not accepted. `key_values` may have those before it.
    """
    if only_clean and "" in attributes:
        raise NotCleanError
    # The usual class first, without a call.
    items = attributes.copy().items() if type(attributes) is dict else items_of(attributes)
    put_items(key_values, items, levels, only_clean)


def put_items(
    key_values: list[bytes],
    items: Iterable[tuple[object, object]],
    levels: int = ATTRIBUTE_LEVELS,
    only_clean: bool = False,
) -> None:
    """Append attributes that nobody changes meanwhile: see `put_attributes`."""
    for key, value in items:
        kind = type(key)
        if kind is str:
            known = _known[key]  # type: ignore[index]
        elif only_clean and kind is not AttributeName:
            raise NotCleanError
        elif issubclass(kind, str):
            # The names of programs may be objects with more than their text, as Datasette's are. By the text alone, since such a class may
            # define equality by itself, and would find or replace the attributes of other keys.
            known = _known[str.__str__(key)]
        else:
            known = KeyValues(key)
        kind = type(value)
        if kind is str or kind is int:
            key_values.append(known[value])  # type: ignore[index]
            continue
        if (encode := SCALAR_ENCODERS.get(kind)) is not None:
            message = encode(value)
        elif only_clean and not _is_clean(value):
            raise NotCleanError
        else:
            message = ValueEncoder(levels).message(value)
        # `~` of a length is negative: `HeadersOfItems` then knows that the value is no text.
        key_values.append(known.headers[~len(message)] + message)


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
