"""A number of a chapter must agree: neither may something be missing, nor may more arrive than was sent."""

from __future__ import annotations

import pytest

from heliograph.demo.chapter import Chapter, Count


@pytest.mark.parametrize(("sent", "arrived", "is_complete"), [(3, 3, True), (0, 0, True), (3, 2, False), (3, 4, False)])
def test_numbers_must_agree(sent: int, arrived: int, is_complete: bool) -> None:
    """More than was sent is a duplicate, which is wrong, too."""
    assert Count(what="events", sent=sent, arrived=arrived).is_complete is is_complete


def test_chapter_may_have_no_code_and_no_numbers() -> None:
    """A chapter begins with lists of its own, which no other chapter shares."""
    one, other = Chapter(title="one", seen=[]), Chapter(title="other", seen=[])
    one.counts.append(Count(what="events", sent=1, arrived=1))

    assert (one.code, other.counts) == ([], [])
