"""Detect that a signal handler has interrupted a method of a span, so that the handler calls no other method of it.

The SDK's methods of a span take its lock, which is not reentrant: an event of the handler would wait for ever for the code that the signal
has interrupted.
"""

from __future__ import annotations

import inspect
from types import FrameType
from typing import Any, Final

_MODULE: Final = "opentelemetry.sdk.trace"


def is_interrupted(span: Any) -> bool:
    """Return True if the code that calls this was called in the middle of a method of the span, which has locked it."""
    # In the fewest steps, because every span event takes them.
    try:
        if not span._lock.locked():  # noqa: SLF001 — the SDK has no other way
            return False
    except AttributeError:
        # The span is of another SDK, or its lock is reentrant and needs no check.
        return False
    frame: FrameType | None = inspect.currentframe()
    # Another thread may have locked it, for a moment. Only a method of the span in this thread's own stack is interrupted.
    while frame is not None and not _is_method_of(frame, span):
        frame = frame.f_back
    return frame is not None


def _is_method_of(frame: FrameType, span: object) -> bool:
    return frame.f_globals.get("__name__") == _MODULE and frame.f_locals.get("self") is span
