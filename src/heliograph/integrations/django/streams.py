"""Keep the actor and the span of a request for its streamed response, which the server reads after the middleware has returned."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, Final, TypeAlias

from heliograph.ambient_actor import ActorFunction, acting_as
from heliograph.integrations.request_span import RequestSpan

_END: Final = object()

During: TypeAlias = Callable[[], AbstractContextManager[object]]
"""A function that returns the block in which a step of the content runs."""


def keep_for_stream(response: Any, actor: ActorFunction, span: RequestSpan | None) -> None:
    """Keep the actor and the span of a request while the content of a streamed response is read and closed. Then end the span.

    For any other response, end the span now.
    """
    if span is not None:
        span.respond(response.status_code)
    # Reading a file tracks no events. If its content were replaced, servers could not send it directly from the file.
    if not getattr(response, "streaming", False) or getattr(response, "file_to_stream", None) is not None:
        if span is not None:
            span.end()
        return
    during = partial(_in_request, actor, span)
    content, close = response.streaming_content, response.close
    response.streaming_content = _AsyncContent(content, during) if response.is_async else _Content(content, during)

    def close_in_request() -> None:
        with during():
            close()
        if span is not None:
            span.end()

    response.close = close_in_request


@contextmanager
def _in_request(actor: ActorFunction, span: RequestSpan | None) -> Iterator[None]:
    with acting_as(actor), nullcontext() if span is None else span.current():
        try:
            yield
        except BaseException as error:
            if span is not None:
                span.end(error)
            raise


class _Content:
    """An iterator that runs each step in a block of its own.

    A generator with one block around all steps would end the block in another context if the client disconnects.
    """

    def __init__(self, content: Iterator[bytes], during: During) -> None:
        self._content = content
        self._during = during

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with self._during():
            part: Any = next(self._content, _END)
        if part is _END:
            raise StopIteration
        return part  # type: ignore[no-any-return]


class _AsyncContent:
    """An async iterator that runs each step in a block of its own."""

    def __init__(self, content: AsyncIterator[bytes], during: During) -> None:
        self._content = content
        self._during = during

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        with self._during():
            part: Any = await anext(self._content, _END)
        if part is _END:
            raise StopAsyncIteration
        return part  # type: ignore[no-any-return]
