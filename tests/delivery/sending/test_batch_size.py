"""The size of batches: halved by what a server refuses, and growing with what it accepts."""

from __future__ import annotations

from heliograph.delivery.journal.batch import Entry
from heliograph.delivery.journal.frames import Scope
from heliograph.delivery.sending.batch_size import BatchSize


def entries(*sizes: int) -> list[Entry]:
    return [Entry(number, Scope(scope=b""), b"x" * size) for number, size in enumerate(sizes, 1)]


def test_half_of_what_was_refused_is_allowed() -> None:
    """A batch may be shorter than allowed, or a single record that is larger."""
    size = BatchSize(1000)
    size.shrink(entries(100, 300))
    assert size.max_bytes == 200
    size.shrink(entries(5000))
    assert size.max_bytes == 100


def test_at_least_one_byte_is_allowed() -> None:
    size = BatchSize(1)
    size.shrink(entries(1))
    assert size.max_bytes == 1


def test_it_grows_slowly_up_to_the_first_size() -> None:
    """The size grows by a sixteenth, and by 64 bytes if it is small."""
    size = BatchSize(3210)
    size.shrink(entries(20))
    size.grow()
    assert size.max_bytes == 74
    size.max_bytes = 3200
    size.grow()
    assert size.max_bytes == 3210
    size.max_bytes = 1600
    size.grow()
    assert size.max_bytes == 1700
