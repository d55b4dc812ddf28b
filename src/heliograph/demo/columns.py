"""Two texts beside each other, in lines of 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Final

LEFT: Final = 53
"""The columns of the text at the left. A longer line is not cut: its right half moves."""
RIGHT: Final = 44
"""The columns of the text at the right. A longer line is continued in the next one."""


def beside(left: Sequence[str], right: Iterable[str]) -> list[tuple[str, str]]:
    """Return the lines of both texts in pairs: the left one filled with spaces, the right one wrapped."""
    wrapped = [part for line in right for part in wrap(line)]
    return [(before.ljust(LEFT), after) for before, after in zip_longest(left, wrapped, fillvalue="")]


def wrap(line: str) -> list[str]:
    """Return a line as several, so that none is longer than the right column. Those that continue it are indented."""
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(line, RIGHT, subsequent_indent=indent, break_on_hyphens=False, drop_whitespace=True) or [""]
