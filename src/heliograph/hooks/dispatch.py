"""The `track_event` hooks of plugins, each on its own feet."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import sys
from collections.abc import Iterator
from typing import Final, TypeAlias

from heliograph.events import EventLike
from heliograph.hooks.plugins import HookCall, Plugins, resolve_result
from heliograph.runtime.loop import BackgroundLoop
from heliograph.semconv import SCOPE
from heliograph.telemetry.metrics import Metrics, error_type

TRACK_EVENT: Final = "track_event"

Deferred: TypeAlias = "list[tuple[str, object]]"

logger: Final = logging.getLogger(SCOPE)


class TrackEventDispatcher:
    """Calls the hooks with an event. One that fails is logged and counted, and those after it still run.

    Args:
        plugins: Whose hooks are called.
        background: Runs what the hooks return to sync callers.
        metrics: Counts the failures.
    """

    def __init__(self, plugins: Plugins, background: BackgroundLoop, metrics: Metrics) -> None:
        self._plugins = plugins
        self._background = background
        self._metrics = metrics

    def dispatch(self, datasette: object, event: EventLike) -> None:
        """Call the hooks, and leave the async functions that they return to the background, in order."""
        calls = self._plugins.calls_by_plugin(TRACK_EVENT)
        if calls:
            deferred = list(self._call(calls, datasette, event))
            if deferred:
                self._background.submit(functools.partial(self._finish, deferred), description="the hook track_event")

    async def dispatch_async(self, datasette: object, event: EventLike) -> None:
        """Call the hooks, and await the async functions that they return, in order."""
        await self._finish(list(self._call(self._plugins.calls_by_plugin(TRACK_EVENT), datasette, event)))

    def _call(
        self, calls: list[tuple[str, HookCall]], datasette: object, event: EventLike
    ) -> Iterator[tuple[str, object]]:
        for plugin, call in calls:
            try:
                results = call(datasette=datasette, event=event)
            except Exception as error:
                self._failed(plugin, error)
            else:
                yield from self._deferred(plugin, results)

    def _deferred(self, plugin: str, results: list[object]) -> Iterator[tuple[str, object]]:
        for result in results:
            if inspect.isgenerator(result) or inspect.isasyncgen(result):
                self._failed(plugin, TypeError("the hook has a `yield`, and so never ran; wrappers say wrapper=True"))
            elif callable(result) or inspect.isawaitable(result):
                yield plugin, result

    async def _finish(self, deferred: Deferred) -> None:
        for plugin, result in deferred:
            try:
                await resolve_result(result)
            except asyncio.CancelledError as error:
                if _is_cancelled():
                    raise
                self._failed(plugin, error)
            except Exception as error:
                self._failed(plugin, error)

    def _failed(self, plugin: str, error: BaseException) -> None:
        self._metrics.hook_failures.add(TRACK_EVENT, error_type(error))
        logger.error("The hook %s of the plugin %s failed.", TRACK_EVENT, plugin, exc_info=error)


def _is_cancelled() -> bool:
    """Whether it is the caller that is cancelled, and not just what it awaits; Python 3.10 cannot tell them apart."""
    task = asyncio.current_task()
    return task is None or sys.version_info < (3, 11) or task.cancelling() > 0
