"""Find the order of the segments of a folder by their content, and the newest record in it.

A segment is named by the sequence of its first record. But people copy, restore and rename files. So for a folder whose process has
ended, the names are compared with the content.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from heliograph.delivery.journal.frames import RECORD, SegmentError
from heliograph.delivery.journal.segment import SegmentReader, segments
from heliograph.delivery.journal.undamaged_copies import frames_beyond_damage


def first_sequences_by_content(folder: Path) -> dict[Path, int]:
    """Return the first sequence of each segment, by its content. Return an empty dict if no name contradicts the content.

    A segment whose first records are damaged begins later than its name says, which is no contradiction.
    """
    named = segments(folder, with_renamed=True)
    found = [(first, path, _first_sequence(first, path)) for first, path in named]
    contents = [sequence for _, _, sequence in found if sequence is not None]
    is_right = contents == sorted(contents) and all(content is None or content >= first for first, _, content in found)
    return {} if is_right else {path: first if content is None else content for first, path, content in found}


def last_sequence(folder: Path) -> int:
    """Return the sequence of the newest record in a folder, as far as it can be read; 0 if there is none."""
    firsts = first_sequences_by_content(folder)
    found = sorted((firsts.get(path, first), path) for first, path in segments(folder, with_renamed=True))
    for first, path in reversed(found):
        newest = max(_sequences(first, path), default=None)
        if newest is not None:
            return newest
    # No segment has a record. The names are all that is known, and a renamed file may have any number: the smallest is the safest.
    return found[0][0] - 1 if found else 0


def _first_sequence(first: int, path: Path) -> int | None:
    return next(_sequences(first, path), None)


def _sequences(first: int, path: Path) -> Iterator[int]:
    with contextlib.suppress(OSError, SegmentError), contextlib.closing(SegmentReader(first, path)) as segment:
        for sequence, kind, *_ in frames_beyond_damage(segment):
            if kind == RECORD:
                yield sequence
