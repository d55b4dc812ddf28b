"""Fixtures of the tests with real backends."""

from __future__ import annotations

from backends import collector, jaeger  # noqa: F401  # fixtures
