"""Finds the generator that code runs in, by the stack of its thread. Only the own thread's frames are read."""

from __future__ import annotations

import inspect
from types import FrameType
from typing import Final

RUN_BODIES: Final = frozenset(
    {
        *("_pytest", "anyio", "behave", "contextlib", "dishka", "fast_depends", "litestar", "pluggy", "pytest_asyncio"),
        *("pytest_trio", "taskiq_dependencies", "wireup"),
    }
)
"""The packages that run a generator as a context manager: its caller's code is the body of the block around the `yield`."""


def is_running(generator: FrameType) -> bool:
    """Return True if a generator, given by its frame, has called the code that asks, directly or not."""
    frame: FrameType | None = inspect.currentframe()
    while frame is not None and frame is not generator:
        frame = frame.f_back
    return frame is not None


def generator_around(frame: FrameType | None) -> FrameType | None:
    """Return the innermost generator that a frame runs in, without those whose caller's code is the body of a block in them."""
    # Any frame of the stack, since the block may be entered by the method of a class, or by a function that the generator calls.
    while frame is not None:
        caller = frame.f_back
        if _is_generator(frame) and not _runs_bodies(frame) and not (caller is not None and _runs_bodies(caller)):
            return frame
        frame = caller
    return None


def _is_generator(frame: FrameType) -> bool:
    return bool(frame.f_code.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR))


def _runs_bodies(frame: FrameType) -> bool:
    # Generated code, such as dishka's and wireup's, has no module: it counts as code of the module that calls it.
    while "__name__" not in frame.f_globals and frame.f_back is not None:
        frame = frame.f_back
    return str(frame.f_globals.get("__name__")).partition(".")[0] in RUN_BODIES
