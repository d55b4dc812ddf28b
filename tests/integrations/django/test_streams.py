"""Each step of a streamed response runs with the actor of its request, and its span ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.http import FileResponse, HttpResponse, StreamingHttpResponse

from heliograph import current_actor
from heliograph.integrations.django.streams import keep_for_stream

ROOT = {"id": "root"}


class Span:
    """Notes what happens to the span of a request."""

    def __init__(self) -> None:
        self.steps: list[object] = []

    def respond(self, status: int) -> None:
        self.steps.append(status)

    @contextmanager
    def current(self) -> Iterator[None]:
        self.steps.append("in")
        yield
        self.steps.append("out")

    def end(self, error: BaseException | None = None) -> None:
        self.steps.append("end" if error is None else type(error))


def keep(response: Any, span: Span | None) -> None:
    keep_for_stream(response, lambda: ROOT, span)  # type: ignore[arg-type]


def test_content_of_a_file_is_not_wrapped(tmp_path: Any) -> None:
    """A server may send the content from the file itself."""
    (tmp_path / "file").write_text("content")
    response = FileResponse((tmp_path / "file").open("rb"))
    keep_for_stream(response, lambda: None, None)
    assert response.file_to_stream is not None
    response.close()


def test_span_of_a_whole_response_ends_at_once() -> None:
    """Nothing of a response that is no stream is left to be read."""
    span = Span()
    keep(HttpResponse("content", status=204), span)

    assert span.steps == [204, "end"]


def test_each_step_has_the_actor() -> None:
    """Nobody acts between two steps: the server may serve another request there. To close it is a step, too."""
    seen: list[object] = []

    def content() -> Iterator[bytes]:
        for part in (b"a", b"b"):
            seen.append(current_actor())
            yield part

    span = Span()
    response = StreamingHttpResponse(content())
    response._resource_closers.append(lambda: seen.append(current_actor()))
    keep(response, span)

    assert [(part, current_actor()) for part in response.streaming_content] == [(b"a", None), (b"b", None)]
    response.close()
    assert seen == [ROOT, ROOT, ROOT]
    assert span.steps == [200, *(["in", "out"] * 4), "end"]


def test_each_step_of_async_content_has_the_actor() -> None:
    """Async content, as served by ASGI, has the actor in its own steps alone."""
    seen: list[object] = []

    async def content() -> AsyncIterator[bytes]:
        for part in (b"a", b"b"):
            seen.append(current_actor())
            yield part

    async def read() -> list[tuple[bytes, object]]:
        return [(part, current_actor()) async for part in response.streaming_content]

    response = StreamingHttpResponse(content())
    keep(response, None)

    assert asyncio.run(read()) == [(b"a", None), (b"b", None)]
    assert seen == [ROOT, ROOT]


def test_error_of_the_content_ends_the_span() -> None:
    """The error passes on to the server."""

    def content() -> Iterator[bytes]:
        yield b"a"
        raise LookupError

    span = Span()
    response = StreamingHttpResponse(content())
    keep(response, span)

    with pytest.raises(LookupError):
        list(response.streaming_content)
    assert span.steps == [200, "in", "out", "in", LookupError]
