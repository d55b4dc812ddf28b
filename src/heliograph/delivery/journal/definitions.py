"""Finds the headers and scopes that damage has hit, in their copies.

A segment has its header twice, and repeats the definition of a scope in each stretch that uses it. All segments of a folder have
the same header, and from version 2 of the format on, the number of a scope means the same in all of them. So what is damaged
in one place is usually in another. Files are read from the start for this, which only damage makes necessary.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from heliograph.delivery.journal.frames import SCOPE, Frame, Header, Scope, SegmentError, load_scope, next_frame
from heliograph.delivery.journal.segment import SegmentReader, segments

_SHARED_NUMBERS: Final = 2
"""The version from which on the number of a scope means the same in all segments of a folder."""

_MAX_OTHERS: Final = 8
"""The number of other segments that are searched. Almost always the first has a copy."""


def find_header(folder: Path) -> Header | None:
    """Return the header of any segment of a folder that has one."""
    for segment in _opened(segments(folder, with_renamed=True)):
        if segment.version is not None:
            return segment.header
    return None


def find_scope(folder: Path, damaged: SegmentReader, number: int) -> Scope | None:
    """Return the scope of a number whose definition is damaged in a segment; `None` if no copy was found."""
    has_shared_numbers = damaged.version in {None, _SHARED_NUMBERS}
    others = (each for each in segments(folder, with_renamed=True) if has_shared_numbers and each[1] != damaged.path)
    for segment in _opened([(damaged.first, damaged.path), *itertools.islice(others, _MAX_OTHERS)]):
        if segment.path == damaged.path or segment.version == _SHARED_NUMBERS:
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
        start = next_frame(rest, range(1, 2**32))
        if start is None:
            return
        segment.position += start


def _opened(found: Iterable[tuple[int, Path]]) -> Iterator[SegmentReader]:
    for first, path in found:
        with contextlib.suppress(OSError, SegmentError), contextlib.closing(SegmentReader(first, path)) as segment:
            yield segment
