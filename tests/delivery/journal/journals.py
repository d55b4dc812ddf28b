"""Journals with known content, for the tests of this folder."""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

from heliograph.delivery.journal.frames import Header, Scope, load_header
from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.journal.writer import JournalWriter

HEADER = Header(resource=b"resource", schema_url="https://schema/1")
SCOPE_A, SCOPE_B = Scope(scope=b"a", schema_url="https://a"), Scope(scope=b"b")
SMALL = 4096
"""The size of a segment that a few dozen records fill."""


def records(count: int, size: int = 40) -> list[bytes]:
    """Return different records, each with its number."""
    return [f"record {number} ".encode().ljust(size, b".") for number in range(count)]


def write(folder: Path, encoded: list[bytes], **options: object) -> JournalWriter:
    """Append records to a new journal of small segments, every third under scope B, and return its writer."""
    writer = JournalWriter(folder, HEADER, **{"segment_bytes": SMALL, **options})  # type: ignore[arg-type]
    for number, record in enumerate(encoded):
        writer.append(SCOPE_A if number % 3 else SCOPE_B, record)
    return writer


def header_of_version_1(header: Header) -> bytes:
    """Return a header as version 1 of the format had it: without a copy, and without a signal."""
    content = struct.pack("<I", len(header.schema_url)) + header.schema_url.encode() + header.resource
    head = b"HELIOJNL" + struct.pack("<HI", 1, len(content)) + content
    return head + struct.pack("<I", crc32(head))


def write_as_version_1(segment: Path) -> None:
    """Give a segment a header of version 1. Its frames are the same in both versions."""
    whole = segment.read_bytes()
    header, begin, _ = load_header(whole)
    segment.write_bytes(header_of_version_1(header) + whole[begin:])


def read_all(reader: JournalReader) -> list[bytes]:
    """Read all records that are there, without acknowledging any."""
    found: list[bytes] = []
    while batch := reader.read(max_bytes=10**9, max_records=1000):
        found += [entry.encoded for entry in batch.entries]
    return found


def drain(reader: JournalReader, *, max_records: int = 7) -> list[bytes]:
    """Read all records that are there, and acknowledge each batch."""
    found: list[bytes] = []
    while batch := reader.read(max_bytes=10**9, max_records=max_records):
        assert batch.header == HEADER
        found += [entry.encoded for entry in batch.entries]
        reader.acknowledge(batch.entries[-1].sequence)
    return found


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for one example of Hypothesis, which cannot use the fixture `tmp_path`."""
    path = Path(tempfile.mkdtemp())
    try:
        yield path
    finally:
        shutil.rmtree(path)


def lowest_free_descriptor() -> int:
    """Return the number that the next file would get. It grows if files are left open."""
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor
