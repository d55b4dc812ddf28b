"""Read the source of functions and classes."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable


def source_of(*objects: Callable[..., object]) -> list[str]:
    """Return the lines of the source of functions and classes, with an empty line between two of them."""
    texts = [textwrap.dedent(inspect.getsource(each)).rstrip() for each in objects]
    return "\n\n".join(texts).splitlines()
