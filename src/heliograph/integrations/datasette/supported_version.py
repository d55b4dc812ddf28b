"""The versions of Datasette that the plugin works with."""

from __future__ import annotations

import re
from typing import Final

OLDEST: Final = "1.0a41"
"""The first version of Datasette that has everything that the plugin uses."""

_VERSION: Final = re.compile(r"(\d+)\.(\d+)(?:\.\d+)*(?:a(\d+))?")


def is_supported(version: str) -> bool:
    """Return True if the plugin works with this version of Datasette, and with text that is not a version."""
    return _key(version) >= _key(OLDEST)


def version_problem(version: str) -> str:
    """Return text that names an unsupported version, and the command that installs a supported one."""
    return (
        f"Datasette {OLDEST} or later is needed, and {version} is installed; run: pip install 'heliograph[datasette]'"
    )


def _key(version: str) -> tuple[float, ...]:
    """Return a tuple by which versions are compared. An alpha is before the release, and after all earlier releases."""
    found = _VERSION.match(version)
    if found is None:
        return (float("inf"),)
    major, minor, alpha = found.groups()
    return int(major), int(minor), float("inf") if alpha is None else int(alpha)
