"""Read a segment that somebody else has deleted, moved or shortened, through the file that its writer has open.

A directory that is deleted, renamed or unmounted takes the names of its files away. What was written to a file stays readable for
as long as it is open.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from heliograph.delivery.journal.batch import LOST_SCOPE, Entry
from heliograph.delivery.journal.frames import RECORD, SCOPE, SegmentError
from heliograph.delivery.journal.segment import SegmentReader
from heliograph.delivery.journal.undamaged_copies import frames_beyond_damage


def salvage(path: Path, descriptor: int, after: int) -> list[Entry]:
    """Return the records of an open segment that come after a sequence, up to the first damage.

    Args:
        path: The former path of the segment.
        descriptor: The open file. It stays open.
        after: The sequence.
    """
    found: list[Entry] = []
    with contextlib.suppress(SegmentError, OSError):
        segment = SegmentReader(int(path.stem), path, os.dup(descriptor))
        with contextlib.closing(segment):
            for sequence, kind, scope_number, content, _ in segment.frames():
                if kind == SCOPE:
                    segment.define(scope_number, content)
                elif sequence > after:
                    found.append(Entry(sequence, segment.scopes.get(scope_number, LOST_SCOPE), content))
    return found


def cut_back(path: Path, descriptor: int) -> int:
    """Cut a segment that somebody has shortened back to the end of its last frame.

    The caller counts the records that are missing: its writer knows their number. A process that found half a frame at the end could
    only estimate that number, and would count them a second time.

    Args:
        path: The path of the segment.
        descriptor: The open file. It stays open.

    Returns:
        The sequence of the last record that is in the file. If there is none, one less than the first sequence of the segment.
    """
    newest, end = int(path.stem) - 1, 0
    with contextlib.suppress(SegmentError, OSError):
        segment = SegmentReader(newest + 1, path, os.dup(descriptor))
        with contextlib.closing(segment):
            for sequence, kind, *_ in frames_beyond_damage(segment):
                end = segment.position
                if kind == RECORD:
                    newest = sequence
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, end)
    return newest
