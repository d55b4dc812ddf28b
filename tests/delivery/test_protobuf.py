"""Protobuf's wire format, compared with protobuf's own library."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.internal.encoder import _VarintBytes
from google.protobuf.wrappers_pb2 import Int64Value
from hypothesis import given
from hypothesis import strategies as st

from heliograph.delivery.protobuf import (
    UINT64_MASK,
    VARINTS,
    FieldHeads,
    as_bytes,
    as_int64,
    count_field,
    fixed_field,
    identifier_field,
    read_fields,
    split_fields,
)

HEADS = FieldHeads(b"\x12")
pack_fixed32, pack_fixed64 = struct.Struct("<BI").pack, struct.Struct("<BQ").pack


@given(st.integers(0, 2**64 - 1))
def test_varint_is_that_of_protobuf(value: int) -> None:
    assert VARINTS[value] == _VarintBytes(value)
    assert list(read_fields(b"\x08" + VARINTS[value])) == [(1, value)]


def test_table_of_varints_does_not_grow() -> None:
    """Programs choose the integers, so the table has the small ones alone."""
    before = len(VARINTS)
    for value in range(2**30, 2**30 + 100):
        VARINTS[value]

    assert len(VARINTS) == before == 2**11
    assert all(VARINTS[value] == _VarintBytes(value) for value in range(2**11))


@given(st.integers(0, 2**64 - 1))
def test_head_of_a_field_is_its_tag_and_the_length(length: int) -> None:
    """The table has the small lengths, and does not grow."""
    assert HEADS[length] == b"\x12" + _VarintBytes(length)
    assert len(HEADS) == 2**11


@given(st.integers(-(2**63), 2**63 - 1))
def test_negative_integer_is_its_twos_complement(value: int) -> None:
    message = Int64Value(value=value).SerializeToString()

    assert message == (b"\x08" + VARINTS[value & UINT64_MASK] if value else b"")
    assert as_int64(dict(read_fields(message)).get(1)) == value


@given(st.text(max_size=200), st.binary(max_size=200))
def test_fields_are_those_that_protobuf_wrote(type_url: str, value: bytes) -> None:
    message = AnyMessage(type_url=type_url, value=value).SerializeToString()

    found = dict(read_fields(message))

    assert (as_bytes(found.get(1)).decode(), as_bytes(found.get(2))) == (type_url, value)


def test_fields_of_each_wire_type() -> None:
    message = b"\x08\x96\x01" + b"\x11" + b"8" * 8 + b"\x1a\x03abc" + b"\x25" + b"4" * 4 + b"\x82\x01\x00"

    assert list(read_fields(message)) == [(1, 150), (2, b"8" * 8), (3, b"abc"), (4, b"4" * 4), (16, b"")]
    assert list(read_fields(b"")) == []


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\x00\x01", "a field has no number"),
        (b"\x0b\x0c", "unknown wire type"),
        (b"\x0e\x00", "unknown wire type"),
        (b"\x0f\x00", "unknown wire type"),
        (b"\x0a\x02x", "cut off"),
        (b"\x0a", "has no end"),
        (b"\x09" + b"8" * 7, "cut off"),
        (b"\x0d" + b"4" * 3, "cut off"),
        (b"\x08", "has no end"),
        (b"\x08" + b"\xff" * 9, "has no end"),
        (b"\x08" + b"\xff" * 10 + b"\x01", "has no end"),
    ],
)
def test_bytes_that_are_not_a_message(message: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        list(read_fields(message))


@given(st.binary(max_size=60))
def test_any_bytes_are_fields_or_an_error(message: bytes) -> None:
    """Values that protobuf's library accepts are the same; reading always ends."""
    with contextlib.suppress(ValueError):
        for number, value in read_fields(message):
            assert number > 0
            assert isinstance(value, bytes) or 0 <= value < 2**64
        fields = list(split_fields(message))
        assert b"".join(field for _, field in fields) == message
        assert [(number, dict(read_fields(field))) for number, field in fields] == [
            (number, {number: value}) for number, value in read_fields(message)
        ]


def test_value_of_another_wire_type_is_none() -> None:
    """A field that is not there, or not as the schema of the message has it, is empty."""
    assert as_int64(None) == as_int64(b"text") == 0
    assert as_bytes(None) == as_bytes(5) == b""
    assert as_int64(2**63) == -(2**63)
    assert as_int64(2**63 - 1) == 2**63 - 1
    assert as_int64(dict(read_fields(Duration(seconds=-5).SerializeToString()))[1]) == -5


@pytest.mark.parametrize("value", [0, None, -1, 2**32, "text", object()])
def test_number_that_does_not_fit_is_omitted(value: Any) -> None:
    assert fixed_field(pack_fixed32, 0x45, value) == b""


def test_fixed_fields() -> None:
    assert fixed_field(pack_fixed32, 0x45, 2**32 - 1) == b"\x45\xff\xff\xff\xff"
    assert fixed_field(pack_fixed64, 0x09, 1) == b"\x09\x01" + bytes(7)
    assert fixed_field(pack_fixed64, 0x09, 1.9) == b"\x09\x01" + bytes(7)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0, -1, 2**64, 1.5, "text", None])
def test_identifier_that_does_not_fit_is_omitted(value: Any) -> None:
    assert identifier_field(b"\x52\x08", value, 8) == b""


def test_identifier_is_big_endian() -> None:
    assert identifier_field(b"\x52\x08", 0x0102, 8) == b"\x52\x08" + bytes(6) + b"\x01\x02"


def test_varint_of_more_than_64_bits_is_cut() -> None:
    """A varint has 64 bits at most, as in protobuf's own library."""
    assert list(read_fields(b"\x08" + b"\xff" * 9 + b"\x7f")) == [(1, 2**64 - 1)]


@pytest.mark.parametrize(
    ("count", "field"), [(-1, b""), (0, b""), (1, b"\x38\x01"), (2**40, b"\x38\xff\xff\xff\xff\x0f")]
)
def test_count_has_32_bits(count: int, field: bytes) -> None:
    assert count_field(b"\x38", count) == field
