"""The versions of all programs, as data."""

from __future__ import annotations

from backends.program import CONFIG


def versions() -> dict[str, str]:
    """Return the variables of versions.env."""
    lines = (CONFIG / "versions.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
