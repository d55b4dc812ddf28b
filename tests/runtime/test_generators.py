"""The generator that code runs in."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Iterator
from types import FrameType

import pytest

from heliograph.runtime.generators import generator_around, is_running


def around_the_caller() -> FrameType | None:
    """Return the generator that the caller runs in, as code that a generator calls would see it."""
    return generator_around(inspect.currentframe())


def around() -> Iterator[FrameType | None]:
    """Yield the generator that this code runs in, from a function that it calls."""
    yield around_the_caller()


def test_generator_is_found_from_a_function_that_it_calls() -> None:
    generator = around()
    assert next(generator) is generator.gi_frame  # type: ignore[attr-defined]


def test_innermost_generator_is_found() -> None:
    def outer() -> Iterator[tuple[object, object]]:
        inner = around()
        yield next(inner), inner.gi_frame  # type: ignore[attr-defined]

    found, expected = next(outer())
    assert found is expected


@pytest.mark.anyio
async def test_async_generator_is_found() -> None:
    async def rows() -> AsyncIterator[FrameType | None]:
        yield around_the_caller()

    generator = rows()
    assert await anext(generator) is generator.ag_frame  # type: ignore[attr-defined]
    await generator.aclose()  # type: ignore[attr-defined]


def test_code_outside_of_generators_runs_in_none() -> None:
    """A test, and a coroutine, are no generators."""
    assert around_the_caller() is None


def test_context_manager_is_not_found() -> None:
    """The code of its caller is the body of the block around the `yield`."""
    with contextlib.contextmanager(around)() as found:
        assert found is None


def test_generator_runs_while_it_has_called_the_code_that_asks() -> None:
    def rows() -> Iterator[bool]:
        yield runs()

    def runs() -> bool:
        return is_running(frame)

    generator = rows()
    frame = generator.gi_frame  # type: ignore[attr-defined]
    assert next(generator)
    assert not runs()
