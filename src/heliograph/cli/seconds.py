"""The type of command-line options that are a number of seconds."""

from __future__ import annotations

import math
from typing import Any, Final

import click

MAX_SECONDS: Final = 1_000_000
"""About eleven days. Some timeouts of the operating system overflow beyond a few weeks."""


class Seconds(click.FloatRange):
    """A number of seconds, from 0 to `MAX_SECONDS`.

    Args:
        min_open: True if 0 is refused.
    """

    name = "seconds"

    def __init__(self, *, min_open: bool = False) -> None:
        super().__init__(min=0, max=MAX_SECONDS, min_open=min_open)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number. Refuse ``nan``, which the base class accepts, because each comparison with it is False."""
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value} is not a number of seconds", param, ctx)
        return seconds
