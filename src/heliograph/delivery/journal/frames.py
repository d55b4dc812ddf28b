"""The format of a journal's segments: pure functions over bytes.

A segment is a header and frames, all numbers little-endian:

=========  =====================================================================================================
header     ``HELIOJNL``, version (2 bytes), length of the content (4), content, CRC-32 of all before it (4)
content    length of the schema URL (4), the schema URL, the encoded Resource
frame      length of the payload (4), CRC-32 of sequence and payload (4), sequence (8), payload
payload    kind (1), number of the scope (2), and
           of a scope: length of the schema URL (4), the schema URL, the encoded InstrumentationScope;
           of a record: the encoded LogRecord, as the field of ``ScopeLogs`` that it will be
=========  =====================================================================================================

A length of 0 ends the frames: reserved space is zeros, and a frame's length is written last, so that what a killed process
did not finish is not there. Sequences begin at 1, have no gap, and are never used again in a folder; a scope has the
sequence of the record that follows it. Each segment defines the scopes that it uses, so that it can be read alone.
The form of the header is that of every version, so that damage is not taken for one that comes later.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias
from zlib import crc32

VERSION: Final = 1
SCOPE: Final = 1
RECORD: Final = 2
MAX_SCOPES: Final = 2**16

_MAGIC: Final = b"HELIOJNL"
_HEADER: Final = struct.Struct("<8sHI")
_LENGTH: Final = struct.Struct("<I")
_HEAD: Final = struct.Struct("<IIQBH")
_CHECKED: Final = struct.Struct("<QBH")
_UNCHECKED_BYTES: Final = _HEAD.size - _CHECKED.size
_LEAST_PAYLOAD: Final = struct.calcsize("<BH")
_BEFORE_PAYLOAD: Final = _HEAD.size - _LEAST_PAYLOAD
_NOT_ZERO: Final = re.compile(rb"[^\0]")

HEAD_BYTES: Final = _HEAD.size
"""How much of a frame is not its content."""


class SegmentError(ValueError):
    """Bytes that are no segment."""


class SegmentVersionError(OSError):
    """A segment of a version that this program does not know: nothing is wrong with it, and it is left as it is."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a segment's records were made under.

    Attributes:
        resource: The encoded Resource.
        schema_url: Its schema URL; may be empty.
    """

    resource: bytes
    schema_url: str = ""


class Scope(NamedTuple):
    """An instrumentation scope.

    Attributes:
        scope: The encoded InstrumentationScope.
        schema_url: Its schema URL; may be empty.
    """

    scope: bytes
    schema_url: str = ""


Frame: TypeAlias = "tuple[int, int, int, bytes, int]"
"""A frame that was read: its sequence, its kind (`SCOPE` or `RECORD`), the number of the scope that is defined or used, its
content, and where it ends in the bytes. A plain tuple: making one with names costs as much as reading it."""


def dump_header(header: Header) -> bytes:
    """The bytes of a header."""
    content = _dump_pair(header.schema_url, header.resource)
    checked = _HEADER.pack(_MAGIC, VERSION, len(content)) + content
    return checked + _LENGTH.pack(crc32(checked))


def load_header(buffer: bytes) -> tuple[Header, int]:
    """The header that the bytes begin with, and where it ends.

    Raises:
        SegmentError: They begin with none.
        SegmentVersionError: They begin with one of a later version.
    """
    if len(buffer) < _HEADER.size:
        raise SegmentError("it is too short for a header")
    magic, version, length = _HEADER.unpack_from(buffer)
    if magic != _MAGIC:
        raise SegmentError("it is no segment of a journal")
    end = _HEADER.size + length
    if end + _LENGTH.size > len(buffer):
        raise SegmentError("its header is cut")
    if _LENGTH.unpack_from(buffer, end)[0] != crc32(buffer[:end]):
        raise SegmentError("its header is damaged")
    if version != VERSION:
        raise SegmentVersionError(f"a segment is of version {version}, and this program knows {VERSION}")
    schema_url, resource = _load_pair(buffer[_HEADER.size : end])
    return Header(resource=resource, schema_url=schema_url), end + _LENGTH.size


def dump_scope(scope: Scope) -> bytes:
    """The content of the frame that defines a scope."""
    return _dump_pair(scope.schema_url, scope.scope)


def load_scope(content: bytes) -> Scope:
    """The scope that a frame's content defines.

    Raises:
        SegmentError: It defines none.
    """
    schema_url, scope = _load_pair(content)
    return Scope(scope=scope, schema_url=schema_url)


def _dump_pair(schema_url: str, message: bytes) -> bytes:
    text = schema_url.encode(errors="surrogatepass")
    return _LENGTH.pack(len(text)) + text + message


def _load_pair(content: bytes) -> tuple[str, bytes]:
    if len(content) < _LENGTH.size:
        raise SegmentError("a schema URL is cut")
    end = _LENGTH.size + _LENGTH.unpack_from(content)[0]
    if end > len(content):
        raise SegmentError("a schema URL is cut")
    return content[_LENGTH.size : end].decode(errors="replace"), content[end:]


def dump_frame(sequence: int, kind: int, scope_number: int, content: bytes) -> tuple[bytes, bytes]:
    """A frame's length, which is to be written last, and all that comes after it."""
    checked = _CHECKED.pack(sequence, kind, scope_number)
    checksum = _LENGTH.pack(crc32(content, crc32(checked)))
    return _LENGTH.pack(_LEAST_PAYLOAD + len(content)), checksum + checked + content


def read_frames(buffer: bytes, offset: int) -> Iterator[Frame]:
    """The whole and undamaged frames that follow each other from here on."""
    while offset + _HEAD.size <= len(buffer):
        length, checksum, sequence, kind, scope_number = _HEAD.unpack_from(buffer, offset)
        end = offset + _BEFORE_PAYLOAD + length
        if length < _LEAST_PAYLOAD or end > len(buffer) or crc32(buffer[offset + _UNCHECKED_BYTES : end]) != checksum:
            return
        yield sequence, kind, scope_number, buffer[offset + _HEAD.size : end], end
        offset = end


def frame_size(head: bytes) -> int:
    """How large the frame is that begins with these bytes; 0 where there is none (yet)."""
    if len(head) < _LENGTH.size:
        return 0
    length: int = _LENGTH.unpack_from(head)[0]
    return length and _BEFORE_PAYLOAD + length


def next_frame(buffer: bytes, sequences: range) -> int | None:
    """Where the first undamaged frame begins, if there is one.

    Args:
        buffer: What is left of a segment.
        sequences: What its sequence may be, which tells a frame from what only looks like one before its checksum is
            computed.
    """
    for candidate in _candidates(buffer):
        length, _, found, _, _ = _HEAD.unpack_from(buffer, candidate)
        is_likely = found in sequences and length <= len(buffer)
        if is_likely and next(read_frames(buffer, candidate), None) is not None:
            return candidate
    return None


def _candidates(buffer: bytes) -> Iterator[int]:
    """Where a frame could begin: zeros, of which there are many, are passed over at once."""
    offset, last = 0, len(buffer) - _HEAD.size
    while offset <= last:
        if _LENGTH.unpack_from(buffer, offset)[0]:
            yield offset
            offset += 1
        else:
            found = _NOT_ZERO.search(buffer, offset + _LENGTH.size)
            offset = last + 1 if found is None else max(offset + 1, found.start() - _LENGTH.size + 1)
