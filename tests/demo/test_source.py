"""The code of a chapter is shown as it was written."""

from __future__ import annotations

from heliograph.demo.source import source_of


class Outer:
    """A class in whose body the source is indented."""

    def inner(self) -> int:
        """Return a number."""
        return 1


def other() -> None:
    """Do nothing."""


def test_source_is_not_indented() -> None:
    """A method begins at the left, and an empty line is between two objects."""
    assert source_of(Outer.inner, other) == [
        "def inner(self) -> int:",
        '    """Return a number."""',
        "    return 1",
        "",
        "def other() -> None:",
        '    """Do nothing."""',
    ]
