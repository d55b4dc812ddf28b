"""Attributes that are remembered by key and value."""

from __future__ import annotations

from typing import Union

import pytest
from opentelemetry.proto.common.v1.common_pb2 import KeyValueList

from heliograph.delivery.encoding.key_values import MAX_KEPT_BYTES, MAX_KEPT_VALUES, KeyValues
from heliograph.otlp import decode_attributes

VALUES = b"\x0a"  # KeyValueList.values


def decoded(key_value: bytes) -> dict[str, object]:
    return decode_attributes(KeyValueList.FromString(VALUES + key_value).values)


@pytest.mark.parametrize(
    "value", ["", "a", "\ud800", "ä" * 100, "x" * 10_000, 0, 1, -1, 2**63 - 1, -(2**63), 2**64, True]
)
def test_attribute_is_the_same_each_time(value: Union[str, int]) -> None:
    known = KeyValues("key")
    first = known[value]

    assert known[value] == first
    assert decoded(first) == decoded(KeyValues("key")[value])
    if isinstance(value, (str, bool)):
        assert decoded(first) == {"key": value if value != "\ud800" else "\\ud800"}


def test_text_and_number_are_different_values() -> None:
    known = KeyValues("key")

    assert [decoded(known[value]) for value in ("1", 1, "1", 1)] == [{"key": "1"}, {"key": 1}, {"key": "1"}, {"key": 1}]


def test_few_values_are_kept() -> None:
    known = KeyValues("key")
    kept = [known[number] for number in range(MAX_KEPT_VALUES)]

    assert all(known[number] is kept[number] for number in range(MAX_KEPT_VALUES))


def test_key_whose_values_do_not_come_again_keeps_none() -> None:
    """Each span may have another path, or another time. They would fill the memory, and cost more than they save."""
    known = KeyValues("key")
    for number in range(2 * MAX_KEPT_VALUES):
        assert decoded(known[number]) == {"key": number}
        assert len(known) <= MAX_KEPT_VALUES

    assert not known
    assert decoded(known[0]) == {"key": 0}


def test_long_values_are_not_kept() -> None:
    known = KeyValues("key")
    known["x" * MAX_KEPT_BYTES]

    assert not known
