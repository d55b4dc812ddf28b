"""The bytes before values, and the bounds of their caches."""

from __future__ import annotations

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from heliograph.delivery.encoding.headers import BoundedCache, HeadersOfItems, HeadersOfKey

ITEMS = b"\x0a"  # ArrayValue.values and KeyValueList.values


@pytest.mark.parametrize("size", [0, 1, 127, 128, 300, 20_000])
def test_header_is_that_of_protobuf(size: int) -> None:
    """A text and any other value have the key, the length and the field number that protobuf's own library writes."""
    text, data = AnyValue(string_value="x" * size), AnyValue(bytes_value=b"x" * size).SerializeToString()
    of_key, of_items = HeadersOfKey("key"), HeadersOfItems()

    assert (
        ITEMS + of_key[size] + b"x" * size == KeyValueList(values=[KeyValue(key="key", value=text)]).SerializeToString()
    )
    assert ITEMS + of_items[size] + b"x" * size == ArrayValue(values=[text]).SerializeToString()
    assert KeyValueList.FromString(ITEMS + of_key[~len(data)] + data).values[0].value.bytes_value == b"x" * size
    assert ArrayValue.FromString(ITEMS + of_items[~len(data)] + data).values[0].bytes_value == b"x" * size


def test_headers_of_items_are_bounded() -> None:
    headers = HeadersOfItems()
    for size in range(3 * headers.max_sizes):
        assert len(headers[size]) > 0
        assert len(headers) <= headers.max_sizes


def test_bounded_cache_computes_each_text_once() -> None:
    computed: list[str] = []
    cache: BoundedCache[int] = BoundedCache(lambda text: computed.append(text) or len(text))  # type: ignore[func-returns-value]

    assert [cache["a"], cache["bc"], cache["a"]] == [1, 2, 1]
    assert computed == ["a", "bc"]
