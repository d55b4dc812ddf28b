"""Failures of the program's code are caught, and nothing else is."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from heliograph.runtime.program_errors import getattr_or_none, program_errors


def test_attribute_that_raises_is_none() -> None:
    """A property is code of the program, and may raise anything."""

    class Odd:
        x = 1

        @property
        def broken(self) -> Any:
            raise RuntimeError

    assert getattr_or_none(Odd(), "x") == 1
    assert getattr_or_none(Odd(), "broken") is None
    assert getattr_or_none(Odd(), "missing") is None


def test_exception_that_ends_the_program_passes() -> None:
    """The handler of a signal raised the exception."""

    class Odd:
        @property
        def interrupted(self) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        getattr_or_none(Odd(), "interrupted")


def test_cancellation_is_an_error_of_sync_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a program that has not imported asyncio, or has only begun to, nothing raises it."""
    assert program_errors() == (Exception, asyncio.CancelledError)

    monkeypatch.setitem(sys.modules, "asyncio", type(sys)("asyncio"))
    assert program_errors() == (Exception,)
    monkeypatch.delitem(sys.modules, "asyncio")
    assert program_errors() == (Exception,)
