"""The option ``--json`` of all commands that print for people by default."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


def json_option(printed: str = "JSON, one object per line") -> Callable[[Any], Any]:
    """Return a decorator that adds ``--json`` to a command, which gets it as its argument ``as_json``.

    Args:
        printed: The output of the command with this option, for its help.
    """
    return click.option("--json", "as_json", is_flag=True, help=f"Print {printed}.")
