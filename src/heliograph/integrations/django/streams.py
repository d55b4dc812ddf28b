"""Streamed responses of Django: they are read after the request has ended, and keep its actor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from heliograph.ambient_actor import ActorFunction, acting_as

_END: Final = object()


def keep_actor(response: Any, actor: ActorFunction) -> None:
    """Make an actor ambient while the content of a streamed response is read and closed. Other responses stay as they are."""
    # The content of a file tracks no events, and servers send it from the file if nobody has replaced it.
    if not getattr(response, "streaming", False) or getattr(response, "file_to_stream", None) is not None:
        return
    content, close = response.streaming_content, response.close
    response.streaming_content = _AsyncContent(content, actor) if response.is_async else _Content(content, actor)

    def close_as_actor() -> None:
        with acting_as(actor):
            close()

    response.close = close_as_actor


class _Content:
    """An iterator, each step of which has the actor.

    A generator with one block around all steps would end it elsewhere if the client goes away.
    """

    def __init__(self, content: Iterator[bytes], actor: ActorFunction) -> None:
        self._content = content
        self._actor = actor

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with acting_as(self._actor):
            part: Any = next(self._content, _END)
        if part is _END:
            raise StopIteration
        return part  # type: ignore[no-any-return]


class _AsyncContent:
    """An async iterator, each step of which has the actor."""

    def __init__(self, content: AsyncIterator[bytes], actor: ActorFunction) -> None:
        self._content = content
        self._actor = actor

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        with acting_as(self._actor):
            part: Any = await anext(self._content, _END)
        if part is _END:
            raise StopAsyncIteration
        return part  # type: ignore[no-any-return]
