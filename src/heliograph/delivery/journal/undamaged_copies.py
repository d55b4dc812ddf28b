"""Find copies of damaged headers and of damaged definitions of scopes.

A segment has its header twice, and defines each scope again in every 64 KiB that use it. All segments of a folder have the same
header, and since version 2 of the format the number of a scope means the same in all of them. So for almost everything that is
damaged there is an undamaged copy, in the same segment or in another one. The search reads whole files: it is slow, and only
damage makes it necessary.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from heliograph.delivery.journal.frames import (
    ANY_SEQUENCE,
    SCOPE,
    Frame,
    Header,
    Scope,
    SegmentError,
    load_scope,
    next_frame,
)
from heliograph.delivery.journal.segment import SegmentReader, segments

_SHARED_NUMBERS: Final = 2
"""The version in which the number of a scope means the same in all segments of a folder."""

_MAX_OTHERS: Final = 8
"""The largest number of other segments that are searched. Almost always the first has a copy."""


def find_header(folder: Path) -> Header | None:
    """Return the header of the first segment of a folder whose header can be read; `None` if there is none."""
    for segment in _opened(segments(folder, with_renamed=True)):
        if segment.version is not None:
            return segment.header
    return None


def find_scope(folder: Path, damaged: SegmentReader, number: int) -> Scope | None:
    """Return a scope whose definition is damaged in one segment, from a copy in it or in others; `None` if none was found.

    Args:
        folder: The folder of the segment.
        damaged: The segment. It is opened again, so its position does not change.
        number: The number of the scope.
    """
    has_shared_numbers = damaged.version in {None, _SHARED_NUMBERS}
    others = (each for each in segments(folder, with_renamed=True) if has_shared_numbers and each[1] != damaged.path)
    for segment in _opened([(damaged.first, damaged.path), *itertools.islice(others, _MAX_OTHERS)]):
        if segment.path == damaged.path or segment.version == _SHARED_NUMBERS:
            found = _find_definition(segment, number)
            if found is not None:
                return found
    return None


def _find_definition(segment: SegmentReader, number: int) -> Scope | None:
    """Return the first definition of a scope in a segment that can be read."""
    for _, kind, scope_number, content, _ in frames_beyond_damage(segment):
        if kind == SCOPE and scope_number == number:
            with contextlib.suppress(SegmentError):
                return load_scope(content)
    return None


def frames_beyond_damage(segment: SegmentReader) -> Iterator[Frame]:
    """Yield all undamaged frames from the position of a segment on."""
    while True:
        yield from segment.frames()
        rest = segment.rest()
        start = next_frame(rest, ANY_SEQUENCE)
        if start is None:
            return
        segment.position += start


def _opened(found: Iterable[tuple[int, Path]]) -> Iterator[SegmentReader]:
    """Open segments one after the other, without those that cannot be read, and close each after its turn."""
    for first, path in found:
        with contextlib.suppress(OSError, SegmentError), contextlib.closing(SegmentReader(first, path)) as segment:
            yield segment
