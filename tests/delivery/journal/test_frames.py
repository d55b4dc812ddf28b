"""The format of a segment, byte by byte."""

from __future__ import annotations

import struct
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.journal.journals import header_of_version_1
from heliograph.delivery.journal.frames import (
    HEAD_BYTES,
    RECORD,
    SCOPE,
    Frame,
    Header,
    Scope,
    SegmentError,
    SegmentVersionError,
    dump_frame,
    dump_header,
    dump_scope,
    frame_size,
    load_header,
    load_scope,
    next_frame,
    read_frame,
    read_run,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
FRAMES = st.lists(
    st.tuples(
        st.integers(0, 2**64 - 1), st.sampled_from([SCOPE, RECORD]), st.integers(0, 2**16 - 1), st.binary(max_size=40)
    ),
    max_size=6,
)


def frame(sequence: int, kind: int = RECORD, scope_number: int = 0, content: bytes = b"content") -> bytes:
    return b"".join(dump_frame(sequence, kind, scope_number, content))


def test_bytes_of_a_segment() -> None:
    """Other releases read the segment: its bytes are those of the format page in the documentation."""
    content = b"\x01" + struct.pack("<I", 10) + b"https://r/" + b"resource"
    head = b"HELIOJNL" + struct.pack("<HI", 2, len(content)) + content
    head += struct.pack("<I", crc32(head))
    assert dump_header(Header(resource=b"resource", schema_url="https://r/")) == head + head

    checked = struct.pack("<QBH", 9, 2, 3) + b"record"
    expected = struct.pack("<II", 3 + 6, crc32(checked)) + checked
    assert frame(9, RECORD, 3, b"record") == expected

    assert dump_scope(Scope(scope=b"scope", schema_url="https://s/")) == struct.pack("<I", 10) + b"https://s/scope"


@given(st.binary(max_size=50), TEXT, st.binary(max_size=50))
def test_header_is_read_as_it_was_written(resource: bytes, schema_url: str, rest: bytes) -> None:
    header = Header(resource=resource, schema_url=schema_url)
    dumped = dump_header(header)

    assert load_header(dumped + rest) == (header, len(dumped), 2)


@given(TEXT, st.binary(max_size=50))
def test_scope_is_read_as_it_was_written(schema_url: str, message: bytes) -> None:
    scope = Scope(scope=message, schema_url=schema_url)

    assert load_scope(dump_scope(scope)) == scope


def test_schema_url_with_lone_surrogates_does_not_fail() -> None:
    header = Header(resource=b"resource", schema_url="https://\udc80")

    assert load_header(dump_header(header))[0].resource == b"resource"


def test_header_of_version_1_is_read() -> None:
    """The first version has no copy of the header, and no signal."""
    header = Header(resource=b"resource", schema_url="https://schema")
    whole = header_of_version_1(header)

    assert load_header(whole + b"frames") == (header, len(whole), 1)


def test_header_with_any_flipped_bit_is_damaged() -> None:
    """A flipped bit of the version is damage, too: a later version must not be touched, so damage must not look like one."""
    whole = header_of_version_1(Header(resource=b"resource", schema_url="https://schema"))

    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SegmentError):
            load_header(bytes(damaged))


def test_header_with_any_flipped_bit_is_read_from_its_copy() -> None:
    """The damaged copy of a whole header is skipped like other damage."""
    header = Header(resource=b"resource", schema_url="https://schema")
    whole = dump_header(header)

    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        end = len(whole) if bit // 8 < len(whole) // 2 else len(whole) // 2
        assert load_header(bytes(damaged)) == (header, end, 2)


def test_header_that_is_cut_off_is_damaged() -> None:
    whole = dump_header(Header(resource=b"resource", schema_url="https://schema"))

    for size in range(len(whole)):
        with pytest.raises(SegmentError):
            load_header(whole[:size])


def test_whole_header_of_a_later_version_is_no_damage() -> None:
    head = b"HELIOJNL" + struct.pack("<HI", 3, 3) + b"abc"

    with pytest.raises(SegmentVersionError, match="version 3, but this release of heliograph reads versions up to 2"):
        load_header(head + struct.pack("<I", crc32(head)))


@pytest.mark.parametrize("content", [b"\x03" + bytes(4), b""])
def test_segment_of_another_signal_is_no_damage(content: bytes) -> None:
    """A later release may keep another signal in folders of its own. This one must neither send nor delete it."""
    head = b"HELIOJNL" + struct.pack("<HI", 2, len(content)) + content

    with pytest.raises(SegmentVersionError, match="signal"):
        load_header((head + struct.pack("<I", crc32(head))) * 2)


@pytest.mark.parametrize("content", [b"", b"abc", struct.pack("<I", 4) + b"abc"])
def test_scope_that_is_cut_off_is_damaged(content: bytes) -> None:
    with pytest.raises(SegmentError):
        load_scope(content)


@given(FRAMES, st.binary(max_size=10))
def test_frames_are_read_as_they_were_written(frames: list[tuple[int, int, int, bytes]], before: bytes) -> None:
    buffer = before + b"".join(frame(*each) for each in frames) + bytes(40)

    found: list[Frame] = []
    while each := read_frame(buffer, found[-1][-1] if found else len(before)):
        found.append(each)

    assert [each[:4] for each in found] == frames
    ends = [each[4] for each in found]
    assert [buffer[end - len(each[3]) : end] for each, end in zip(frames, ends)] == [each[3] for each in frames]


def test_frame_with_any_flipped_bit_is_not_read() -> None:
    """Length, checksum, sequence, kind, number of the scope and content: all are covered."""
    whole = frame(5, content=b"some content")

    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        for following in (
            frame(6),
            b"",
        ):  # at the end of the buffer, a length that is too large adds nothing to the checksum
            assert read_frame(bytes(damaged) + following, 0) is None


RUN = [frame(number, content=b"record %d" % number) for number in range(5, 9)]


def run_of(buffer: bytes, **limits: int) -> tuple[list[bytes], int]:
    limits = {"max_bytes": 1000, "max_records": 1000, **limits}
    return read_run(buffer, 3, 5, 0, max_bytes=limits["max_bytes"], max_records=limits["max_records"])


def test_run_has_the_contents_of_records() -> None:
    """Zeros or a part of a frame may follow."""
    contents = [b"record %d" % number for number in range(5, 9)]
    for behind in (b"", bytes(40), frame(9)[:-1]):
        assert run_of(b"abc" + b"".join(RUN) + behind) == (contents, 3 + len(b"".join(RUN)))


@pytest.mark.parametrize(
    "other", [frame(8), frame(6), frame(7, kind=SCOPE), frame(7, scope_number=1), frame(7)[:-1] + b"?"], ids=range(5)
)
def test_run_ends_before_any_other_frame(other: bytes) -> None:
    """Another frame has a sequence that is not the next, another kind or scope, or damage."""
    found, end = run_of(b"abc" + b"".join([*RUN[:2], other, RUN[3]]))
    assert (found, end) == ([b"record 5", b"record 6"], 3 + len(b"".join(RUN[:2])))


@pytest.mark.parametrize(
    ("limits", "count"), [({"max_bytes": 9}, 2), ({"max_bytes": 8}, 1), ({"max_bytes": 0}, 0), ({"max_records": 3}, 3)]
)
def test_run_ends_at_the_limits(limits: dict[str, int], count: int) -> None:
    """The record that exceeds the number of bytes is the last."""
    assert len(run_of(b"abc" + b"".join(RUN), **limits)[0]) == count


def test_no_bit_of_a_run_can_flip() -> None:
    for bit in range(8 * len(RUN[0])):
        damaged = bytearray(b"abc" + b"".join(RUN))
        damaged[3 + bit // 8] ^= 1 << bit % 8
        assert run_of(bytes(damaged)) == ([], 3)


def test_frame_that_is_cut_off_is_not_read() -> None:
    whole = frame(5)

    for size in range(len(whole)):
        assert read_frame(whole[:size], 0) is None


def test_length_that_is_too_small_for_a_payload_is_no_frame() -> None:
    """The checksum of its few bytes may be right."""
    checked = struct.pack("<Q", 5)

    assert read_frame(struct.pack("<II", 0, crc32(checked)) + checked + bytes(40), 0) is None


def test_size_of_a_frame_is_that_of_its_bytes() -> None:
    assert frame_size(frame(5)) == len(frame(5))
    assert frame_size(frame(5)[:HEAD_BYTES]) == len(frame(5))
    assert frame_size(bytes(HEAD_BYTES)) == 0
    assert frame_size(b"") == frame_size(b"\x01\x00\x00") == 0


@given(st.binary(max_size=60), st.integers(0, 60), st.integers(1, 20))
def test_next_frame_is_found_behind_garbage_and_zeros(garbage: bytes, zeros: int, sequence: int) -> None:
    buffer = garbage + bytes(zeros) + frame(sequence) + bytes(5)

    found = next_frame(buffer, range(1, 21))

    assert found == len(garbage) + zeros


def test_frame_with_an_impossible_sequence_is_not_found() -> None:
    """Bytes that look like a frame may be the content of a record, such as a journal that someone logged."""
    assert next_frame(frame(50) + frame(3), range(1, 21)) == len(frame(50))
    assert next_frame(frame(50), range(1, 21)) is None
    assert next_frame(b"", range(1, 21)) is None
    assert next_frame(bytes(1000), range(1, 21)) is None
