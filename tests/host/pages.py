"""Pages that are read: an event, plugins that read it, and what a test asks about them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

import anyio.lowlevel

from heliograph import Event, hookimpl
from recorder import Telemetry
from threads import LIMIT_SECONDS

request_id: ContextVar[str] = ContextVar("request_id", default="none")


@dataclass
class PageEvent(Event):
    name = "page"
    number: int


class Pages:
    """Registers the page events."""

    @hookimpl
    def register_events(self, datasette):
        return [PageEvent]


class Reader(Pages):
    """Records the page numbers in a sync hook."""

    def __init__(self):
        self.numbers = []

    @hookimpl
    def track_event(self, datasette, event):
        self.numbers.append(event.number)


class AsyncReader(Pages):
    """Records the page numbers, and the request id of the caller, in an async hook."""

    def __init__(self):
        self.numbers = []
        self.request_ids = []

    @hookimpl
    def track_event(self, datasette, event):
        async def read():
            await anyio.lowlevel.checkpoint()
            self.numbers.append(event.number)
            self.request_ids.append(request_id.get())

        return read


def numbers(telemetry: Telemetry) -> list[int]:
    """Return the page numbers of the emitted events, in order."""
    return [attributes["app.page.number"] for _, attributes in telemetry.events]


def heliograph_threads() -> list[str]:
    """Return the names of the running threads of heliograph."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("heliograph")]


def eventually(condition: Callable[[], bool]) -> bool:
    """Return True as soon as the condition is true, or False if it never is."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
