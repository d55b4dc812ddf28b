"""A host with tokens in a database, and a clock that the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from heliograph import Host, Settings
from heliograph.tokens.stored.handler import DatabaseTokenHandler
from heliograph.tokens.stored.operations import handler_of

T = TypeVar("T")


class Clock:
    """A clock that shows the time that the test sets, in seconds."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class TokenHost(Host):
    """A host whose tokens are in a file, with a clock of its own.

    Attributes:
        clock: The clock.
    """

    def __init__(self, file: Path | str, **settings: Any) -> None:
        super().__init__(Settings(**{"token_handlers": ("database",), "token_database": Path(file), **settings}))
        self.clock = Clock()
        self.handler.clock = self.clock

    @property
    def handler(self) -> DatabaseTokenHandler:
        return handler_of(self)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine, and then wait for the writes that it left to the background."""

        async def run() -> T:
            return await coroutine

        result = asyncio.run(run())
        assert self.flush(60_000)
        return result
