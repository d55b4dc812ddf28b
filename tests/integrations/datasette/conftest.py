"""Real Datasettes with the plugin, in this process, and the telemetry that they send to the global providers."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import datasette.telemetry
import opentelemetry._logs._internal
import opentelemetry.metrics._internal
import opentelemetry.trace
import pytest
from datasette.app import Datasette
from datasette.database import Database
from datasette.plugins import pm

from heliograph.integrations.datasette import plugin
from heliograph.telemetry import metrics
from recorder import Telemetry


class Instances:
    """Makes Datasettes with heliograph and other plugins, and takes all of it away after the test."""

    def __init__(self) -> None:
        self._made: list[Datasette] = []
        self._plugins: list[object] = []

    async def __call__(self, *plugins: object, config: dict[str, Any] | None = None, **kwargs: Any) -> Datasette:
        """A Datasette that has started: it has a database `data`, and lets everybody do everything to it."""
        for each in (plugin, *plugins):
            if not pm.is_registered(each):
                pm.register(each)
                self._plugins.append(each)
        permissions = dict.fromkeys(("create-table", "insert-row", "update-row", "delete-row", "drop-table"), True)
        instance = Datasette(memory=True, config={"permissions": permissions, **(config or {})}, **kwargs)
        instance.add_database(Database(instance, memory_name=str(uuid4())), name="data")
        self._made.append(instance)
        await instance.invoke_startup()
        return instance

    def close(self) -> None:
        for instance in self._made:
            instance.close()
        for each in self._plugins:
            pm.unregister(each)
        self._made, self._plugins = [], []


@pytest.fixture
def instances() -> Iterator[Instances]:
    """Makes Datasettes."""
    made = Instances()
    yield made
    made.close()


@pytest.fixture
def set_globally(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes providers the global ones, for this test: the plugin joins what is there, and knows no others."""

    def set_globally(
        *, tracer_provider: object = None, logger_provider: object = None, meter_provider: object = None
    ) -> None:
        monkeypatch.setattr(opentelemetry.trace, "_TRACER_PROVIDER", tracer_provider)
        monkeypatch.setattr(opentelemetry._logs._internal, "_LOGGER_PROVIDER", logger_provider)
        monkeypatch.setattr(opentelemetry.metrics._internal, "_METER_PROVIDER", meter_provider)
        # what was made for the providers of an earlier test, and is kept for the life of the process
        monkeypatch.setattr(datasette.telemetry.tracer, "_real_tracer", None)
        monkeypatch.setattr(metrics._metrics_by_provider, "_made", weakref.WeakKeyDictionary())

    return set_globally


@pytest.fixture
def telemetry(telemetry: Telemetry, set_globally: Callable[..., None]) -> Telemetry:
    """The global providers, with everything that goes through them kept in memory."""
    set_globally(**telemetry.providers)
    return telemetry
