"""The format of a segment: pure functions between values and bytes, without files.

A segment is a header, a copy of it, and then frames. All integers are little-endian:

=========  =====================================================================================================
header     ``HELIOJNL``, version (2 bytes), length of the content (4), content, CRC-32 of all bytes before it (4)
content    signal (1; 1 logs, 2 traces), length of the schema URL (4), the schema URL, the encoded Resource
frame      length of the payload (4), CRC-32 of sequence and payload (4), sequence (8), payload
payload    kind (1), number of the scope (2), and
           for a scope: length of the schema URL (4), the schema URL, the encoded InstrumentationScope;
           for a record: the encoded LogRecord, as the field `log_records` of `ScopeLogs`, or Span, as `spans` of `ScopeSpans`
=========  =====================================================================================================

- A length of 0 ends the frames: reserved space is zeros.
- The CRC covers the sequence, so an old frame at a wrong place is not accepted.
- A scope frame has the sequence of the record that follows it, and uses up none of its own.
- The definition of a scope is repeated with its first record after each 64 KiB, and the number of a scope is the same in all segments
  of a folder, until all 65,536 numbers are used. So a damaged definition can be found elsewhere.
- Version 1 has one header without a copy and without the signal, and numbers that are valid within their segment alone.
- Every version begins with the same magic, version, length and CRC. So a reader can tell a later version, which it must not
  touch, from damage.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias
from zlib import crc32

from heliograph.delivery.signals import BY_NUMBER, LOGS, OutboxSignal

VERSION: Final = 2
"""The version that is written. Version 1 is read, too."""
SCOPE: Final = 1
"""The kind of a frame that defines a scope."""
RECORD: Final = 2
"""The kind of a frame that holds a record."""
MAX_SCOPES: Final = 2**16
"""The number of scopes in one segment: the number of a scope has two bytes."""

_MAGIC: Final = b"HELIOJNL"
_HEADER: Final = struct.Struct("<8sHI")
_LENGTH: Final = struct.Struct("<I")
_CHECKSUM: Final = struct.Struct("<I")
# The head of a frame: length, CRC-32, sequence, kind, number of the scope.
_HEAD: Final = struct.Struct("<IIQBH")
# The part of the head that the CRC covers.
_CHECKED: Final = struct.Struct("<QBH")
_pack_checked: Final = _CHECKED.pack
_pack_length: Final = _LENGTH.pack
_pack_checksum: Final = _CHECKSUM.pack
_CHECKED_OFFSET: Final = _HEAD.size - _CHECKED.size
_MIN_PAYLOAD_BYTES: Final = struct.calcsize("<BH")
_PAYLOAD_OFFSET: Final = _HEAD.size - _MIN_PAYLOAD_BYTES
_NOT_ZERO: Final = re.compile(rb"[^\0]")

LENGTH_BYTES: Final = _LENGTH.size
"""The number of bytes of a frame's length, which comes first."""
ANY_SEQUENCE: Final = range(1, 2**64)
"""The sequences that a frame may have, if nothing more is known."""
HEAD_BYTES: Final = _HEAD.size
"""The number of bytes in a frame before its content."""


class SegmentError(ValueError):
    """The bytes are not a segment, or are damaged."""


class SegmentVersionError(OSError):
    """The segment has a version that this release does not read.

    It is an `OSError`, not a `SegmentError`: nothing is damaged, so the file must stay, like one that cannot be opened.
    """


@dataclass(frozen=True, kw_only=True)
class Header:
    """The resource that all records of a segment belong to.

    Attributes:
        resource: The encoded `Resource`.
        schema_url: The resource's schema URL; may be empty.
        signal: The kind of the records.
    """

    resource: bytes
    schema_url: str = ""
    signal: OutboxSignal = LOGS


class Scope(NamedTuple):
    """The instrumentation scope that a record belongs to.

    Attributes:
        scope: The encoded `InstrumentationScope`.
        schema_url: The scope's schema URL; may be empty.
    """

    scope: bytes
    schema_url: str = ""


Frame: TypeAlias = "tuple[int, int, int, bytes, int]"
"""A frame that was read: its sequence, its kind (`SCOPE` or `RECORD`), the number of the scope that it defines or uses, its
content, and the position of its end in the bytes. It is a plain tuple, because a named one takes as long to make as the
frame to read."""


def dump_header(header: Header) -> bytes:
    """Return the bytes of a header, and of its copy."""
    content = bytes([header.signal.number]) + _dump_pair(header.schema_url, header.resource)
    checked = _HEADER.pack(_MAGIC, VERSION, len(content)) + content
    return (checked + _LENGTH.pack(crc32(checked))) * 2


def load_header(buffer: bytes) -> tuple[Header, int, int]:
    """Return the header of a segment, the position at which its frames begin, and its version.

    If the header at the start of the bytes is damaged, its copy is searched and used.

    Raises:
        SegmentError: Neither the header nor its copy is whole and undamaged.
        SegmentVersionError: The header has a later version, or the segment has records of a kind that this release does not send.
    """
    try:
        version, content, end = _load_header_at(buffer, 0)
    except SegmentError:
        copy = buffer.find(_MAGIC, 1)
        if copy < 0:
            raise
        version, content, end = _load_header_at(buffer, copy)
    else:
        end = _end_of_copy(buffer, end) if version == VERSION else end
    # This comes after the checksum: a version that a flipped bit makes is damage.
    if version > VERSION:
        raise SegmentVersionError(
            f"the segment has version {version}, but this release of heliograph reads versions up to {VERSION}: use the "
            "release that wrote it, or a later one"
        )
    signal: OutboxSignal | None = LOGS
    if version > 1:
        signal, content = BY_NUMBER.get(content[0]) if content else None, content[1:]
    if signal is None:
        raise SegmentVersionError("the segment has records of a signal that this release of heliograph does not send")
    schema_url, resource = _load_pair(content)
    return Header(resource=resource, schema_url=schema_url, signal=signal), end, version


def _end_of_copy(buffer: bytes, end: int) -> int:
    """Return the position at which the copy of a header ends, or the end of the header itself if its copy is damaged.

    Raises:
        SegmentError: The bytes end within the copy.
    """
    if 2 * end > len(buffer):
        raise SegmentError("the copy of the header is cut off")
    return 2 * end if buffer[end : 2 * end] == buffer[:end] else end


def _load_header_at(buffer: bytes, start: int) -> tuple[int, bytes, int]:
    """Return the version and the content of a header, and the position of its end."""
    if len(buffer) < start + _HEADER.size:
        raise SegmentError("the file is too short for a header")
    magic, version, length = _HEADER.unpack_from(buffer, start)
    if magic != _MAGIC:
        raise SegmentError("the file does not begin as a segment does")
    end = start + _HEADER.size + length
    if end + _LENGTH.size > len(buffer):
        raise SegmentError("the header is cut off")
    if _LENGTH.unpack_from(buffer, end)[0] != crc32(buffer[start:end]):
        raise SegmentError("the header is damaged: its checksum is wrong")
    return version, buffer[start + _HEADER.size : end], end + _LENGTH.size


def dump_scope(scope: Scope) -> bytes:
    """Return the content of the frame that defines a scope."""
    return _dump_pair(scope.schema_url, scope.scope)


def load_scope(content: bytes) -> Scope:
    """Return the scope that the content of a frame defines.

    Raises:
        SegmentError: The content does not define a scope.
    """
    schema_url, scope = _load_pair(content)
    return Scope(scope=scope, schema_url=schema_url)


def _dump_pair(schema_url: str, message: bytes) -> bytes:
    text = schema_url.encode(errors="surrogatepass")
    return _LENGTH.pack(len(text)) + text + message


def _load_pair(content: bytes) -> tuple[str, bytes]:
    if len(content) < _LENGTH.size:
        raise SegmentError("a schema URL is cut off")
    end = _LENGTH.size + _LENGTH.unpack_from(content)[0]
    if end > len(content):
        raise SegmentError("a schema URL is cut off")
    return content[_LENGTH.size : end].decode(errors="replace"), content[end:]


def dump_frame(sequence: int, kind: int, scope_number: int, content: bytes) -> tuple[bytes, bytes]:
    """Return the bytes of a frame's length, which must be written last, and all bytes that follow the length."""
    # One checksum of all, although it copies the content: a second call for the head takes longer.
    checked = _pack_checked(sequence, kind, scope_number) + content
    return _pack_length(_MIN_PAYLOAD_BYTES + len(content)), _pack_checksum(crc32(checked)) + checked


def read_frame(buffer: bytes, offset: int) -> Frame | None:
    """Return the frame at an offset; `None` if it is damaged or not whole."""
    if offset + _HEAD.size > len(buffer):
        return None
    length, checksum, sequence, kind, scope_number = _HEAD.unpack_from(buffer, offset)
    end = offset + _PAYLOAD_OFFSET + length
    if length < _MIN_PAYLOAD_BYTES or end > len(buffer) or crc32(buffer[offset + _CHECKED_OFFSET : end]) != checksum:
        return None
    return sequence, kind, scope_number, buffer[offset + _HEAD.size : end], end


def read_run(
    buffer: bytes, offset: int, sequence: int, scope_number: int, *, max_bytes: int, max_records: int
) -> tuple[list[bytes], int]:
    """Return the contents of the records from an offset on that have the next sequences and the same scope.

    These are almost all frames of a journal. So they are read in one loop, without an object for each, up to any other frame, to damage,
    or to the limits.

    Args:
        buffer: A part of a segment.
        offset: The position of the first frame.
        sequence: The sequence that it has to have.
        scope_number: The number of the scope.
        max_bytes: The size of the contents at which the run ends. The last one may exceed it.
        max_records: The largest number of records.

    Returns:
        The contents, and the position behind the last frame.
    """
    contents: list[bytes] = []
    size, unpack, content_offset = len(buffer), _HEAD.unpack_from, _CHECKED.size
    last = size - HEAD_BYTES
    for expected in range(sequence, sequence + max_records):
        if offset > last or max_bytes <= 0:
            break
        length, checksum, found, kind, number = unpack(buffer, offset)
        end = offset + _PAYLOAD_OFFSET + length
        checked = buffer[offset + _CHECKED_OFFSET : end]
        is_next = found == expected and number == scope_number and kind == RECORD
        if not is_next or length < _MIN_PAYLOAD_BYTES or end > size or crc32(checked) != checksum:
            break
        contents.append(checked[content_offset:])
        max_bytes -= length - _MIN_PAYLOAD_BYTES
        offset = end
    return contents, offset


def frame_size(head: bytes) -> int:
    """Return the size in bytes of the frame that begins with these bytes; 0 if there is none (yet)."""
    if len(head) < _LENGTH.size:
        return 0
    length: int = _LENGTH.unpack_from(head)[0]
    return length and _PAYLOAD_OFFSET + length


def count_records(buffer: bytes) -> int:
    """Return the number of records in damaged bytes, as far as the lengths of the frames can be followed."""
    count, offset = 0, 0
    while offset + _HEAD.size <= len(buffer):
        length, _, _, kind, _ = _HEAD.unpack_from(buffer, offset)
        offset += _PAYLOAD_OFFSET + length
        if length < _MIN_PAYLOAD_BYTES or offset > len(buffer):
            break
        count += kind != SCOPE
    return count


def next_frame(buffer: bytes, sequences: range) -> int | None:
    """Return the position of the first undamaged frame; `None` if there is none.

    Args:
        buffer: The rest of a segment, which begins with damage or with zeros.
        sequences: The sequences that the frame may have. Checking them first avoids a checksum over a long piece of the buffer
            at almost every byte.
    """
    for candidate in _candidates(buffer):
        length, _, found, _, _ = _HEAD.unpack_from(buffer, candidate)
        is_likely = found in sequences and length <= len(buffer)
        if is_likely and read_frame(buffer, candidate) is not None:
            return candidate
    return None


def _candidates(buffer: bytes) -> Iterator[int]:
    """Yield the positions at which a frame could begin. Runs of zeros, which fill most of a segment, are skipped at once."""
    offset, last = 0, len(buffer) - _HEAD.size
    while offset <= last:
        if _LENGTH.unpack_from(buffer, offset)[0]:
            yield offset
            offset += 1
        else:
            found = _NOT_ZERO.search(buffer, offset + _LENGTH.size)
            offset = last + 1 if found is None else max(offset + 1, found.start() - _LENGTH.size + 1)
