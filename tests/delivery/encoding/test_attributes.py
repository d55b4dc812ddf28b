"""Attributes as fields, and the caches of their headers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from heliograph.delivery.encoding import attributes as module
from heliograph.delivery.encoding.any_value import BODY_LEVELS
from heliograph.delivery.encoding.attributes import attribute_fields, items_of, put_attributes
from heliograph.delivery.encoding.headers import MAX_CACHED_KEY_LENGTH, MAX_CACHED_KEYS, MAX_CACHED_SIZES
from heliograph.delivery.protobuf import repeated_field
from heliograph.otlp import decode_attributes

VALUES = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=300) | st.lists(st.integers(0, 9))
)


def fields(attributes: Mapping[str, Any]) -> bytes:
    key_values: list[bytes] = []
    put_attributes(key_values, attributes)
    return repeated_field(b"\x32", key_values)  # LogRecord.attributes


def decoded(attributes: Mapping[str, Any]) -> dict[str, object]:
    return decode_attributes(LogRecord.FromString(fields(attributes)).attributes)


@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "ž", ""]), VALUES), min_size=1, max_size=20))
def test_attributes_are_read_as_they_were_written(many: list[dict[str, Any]]) -> None:
    """Headers from the caches are right, too: keys and sizes come again and again, as texts and as other values."""
    for attributes in many:
        assert decoded(attributes) == attributes


def test_cache_of_keys_is_emptied_when_it_is_full() -> None:
    """Keys may be chosen by an attacker."""
    for number in range(3 * MAX_CACHED_KEYS):
        assert decoded({f"key {number}": 1}) == {f"key {number}": 1}
        assert len(module._known) <= MAX_CACHED_KEYS


def test_long_keys_are_not_cached() -> None:
    long, longest = "k" * (MAX_CACHED_KEY_LENGTH + 1), "k" * MAX_CACHED_KEY_LENGTH

    assert decoded({long: 1, longest: 2}) == {long: 1, longest: 2}

    assert long not in module._known
    assert longest in module._known


def test_cache_of_sizes_is_emptied_when_it_is_full() -> None:
    """Values of ever more sizes are encoded correctly, and the cache stays small."""
    for size in range(3 * MAX_CACHED_SIZES):
        assert decoded({"sizes": "x" * size}) == {"sizes": "x" * size}
        assert len(module._known["sizes"].headers) <= MAX_CACHED_SIZES


class Key(str):
    """A text that is equal to every other."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash("victim")


def test_key_of_another_class_has_what_is_remembered_of_its_text() -> None:
    """Another key does not get the header of one that pretends to be equal to it."""
    assert decoded({Key("attacker"): 1}) == {"attacker": 1}
    assert decoded({"victim": 1}) == {"victim": 1}
    assert decoded({Key("attacker"): 1}) == {"attacker": 1}
    assert "attacker" in module._known
    assert {type(key) for key in module._known} == {str}


def test_key_that_is_no_text_has_its_form() -> None:
    assert decoded({1: "one", (2,): "two"}) == {"1": "one", "[2]": "two"}  # type: ignore[dict-item]
    assert {type(key) for key in module._known} <= {str}


def test_lone_surrogate_in_one_text_changes_no_other() -> None:
    """The fields that were written before it was found are written once."""
    assert decoded({"a": "first", "b": "\udc80", "\udc81": "last"}) == {"a": "first", "b": "\\udc80", "\\udc81": "last"}
    assert len(LogRecord.FromString(fields({"a": "first", "b": "\udc80"})).attributes) == 2


class Endless(Mapping):  # type: ignore[type-arg]
    """A mapping of a program's own, whose iteration would not end."""

    def __getitem__(self, key: str) -> Any:
        return key

    def __iter__(self) -> Iterator[str]:
        return itertools.repeat("a")

    def __len__(self) -> int:
        return 2

    copy = keys = items = __iter__  # type: ignore[assignment]


class EndlessDict(dict):  # type: ignore[type-arg]
    copy = keys = items = __iter__ = Endless.__iter__  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"a": 1}, {"a": 1}),
        (BoundedAttributes(attributes={"a": 1, "b": "c"}), {"a": 1, "b": "c"}),
        (EndlessDict(a=1), {"a": 1}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (MappingProxyType(MappingProxyType(BoundedAttributes(attributes={"a": 1}))), {"a": 1}),
        (MappingProxyType(Endless()), {}),
        (Endless(), {}),
    ],
)
def test_mappings_are_read_without_their_own_code(attributes: Mapping[str, Any], expected: dict[str, object]) -> None:
    """Code of a mapping could be slow, or never end. The SDK copies such a mapping before it comes here."""
    assert decoded(attributes) == expected


def test_items_are_a_copy() -> None:
    """Another thread may change the mapping while its items are encoded."""
    attributes: dict[str, object] = {"a": 1}
    items = items_of(attributes)
    attributes["b"] = 2

    assert list(items) == [("a", 1)]


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4))
def test_fields_that_are_encoded_once_are_the_same(attributes: dict[str, Any]) -> None:
    """The attributes of a resource, whose field has the number 1, are read as they were written."""
    encoded = b"".join(attribute_fields(b"\x0a", attributes, BODY_LEVELS))

    assert decode_attributes(Resource.FromString(encoded).attributes) == attributes
    assert list(attribute_fields(b"\x0a", None, BODY_LEVELS)) == []
