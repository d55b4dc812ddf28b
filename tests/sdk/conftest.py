"""Fixtures of the tests of the set-up of the SDK."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from otlp_receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that keeps what it receives."""
    with Receiver() as receiver:
        yield receiver
