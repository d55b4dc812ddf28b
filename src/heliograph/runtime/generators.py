"""Find the generator that code runs in, so that the generator's consumer does not get the actor of a block inside of it.

A generator has no context of its own: what it sets in a ``with acting_as(…)``, its consumer would see at each ``yield``. So the block notes the
generator that it is in (`generator_around`), and applies only while that generator runs (`is_running`).

The generator of a context manager, a fixture or a hook wrapper is different: its block is meant for the code that runs while it is
suspended. It is recognized by the package that runs it.

Only frames of the thread's own stack are read.
"""

from __future__ import annotations

import inspect
from types import FrameType
from typing import Final

CONTEXT_MANAGER_PACKAGES: Final = frozenset(
    {
        *("_pytest", "anyio", "behave", "contextlib", "dishka", "fast_depends", "litestar", "pluggy", "pytest_asyncio"),
        *("pytest_trio", "taskiq_dependencies", "wireup"),
    }
)
"""The packages that run a generator as a context manager: what it sets is meant for the code that runs while it is suspended at its ``yield``."""


def is_running(generator: FrameType) -> bool:
    """Return True if a generator, given by its frame, runs in this thread: it has called the code that asks, directly or not."""
    frame: FrameType | None = inspect.currentframe()
    while frame is not None and frame is not generator:
        frame = frame.f_back
    return frame is not None


def generator_around(frame: FrameType | None) -> FrameType | None:
    """Return the innermost generator that a frame runs in and whose consumer must not see what the frame sets.

    Generators that are run as context managers do not count.
    """
    # Any frame of the stack, since the block may be entered by the method of a class, or by a function that the generator calls.
    while frame is not None:
        caller = frame.f_back
        if _is_generator(frame) and not _is_context_manager(frame, caller):
            return frame
        frame = caller
    return None


def _is_generator(frame: FrameType) -> bool:
    return bool(frame.f_code.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR))


def _is_context_manager(generator: FrameType, caller: FrameType | None) -> bool:
    """Return True if a package of context managers runs a generator, or if the generator is one of its own functions."""
    return _is_in_package(generator) or (caller is not None and _is_in_package(caller))


def _is_in_package(frame: FrameType) -> bool:
    """Return True if the code of a frame is in one of `CONTEXT_MANAGER_PACKAGES`."""
    # Generated code, such as dishka's and wireup's, has no module: it counts as code of the module that calls it.
    while "__name__" not in frame.f_globals and frame.f_back is not None:
        frame = frame.f_back
    return str(frame.f_globals.get("__name__")).partition(".")[0] in CONTEXT_MANAGER_PACKAGES
