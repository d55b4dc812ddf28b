"""Put two texts beside each other, in lines of 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Final

LEFT: Final = 53
"""The width of the text at the left. A longer line is not cut; it shifts the text at its right."""
RIGHT: Final = 44
"""The width of the text at the right. A longer line is wrapped."""


def beside(left: Sequence[str], right: Iterable[str]) -> list[tuple[str, str]]:
    """Return the lines of both texts in pairs: the left one filled with spaces, the right one wrapped."""
    wrapped = [part for line in right for part in wrap(line)]
    return [(before.ljust(LEFT), after) for before, after in zip_longest(left, wrapped, fillvalue="")]


def wrap(line: str) -> list[str]:
    """Return a line as several lines, none of which is longer than `RIGHT`. All but the first are indented."""
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(line, RIGHT, subsequent_indent=indent, break_on_hyphens=False, drop_whitespace=True) or [""]
