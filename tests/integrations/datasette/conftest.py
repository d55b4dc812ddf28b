"""Real Datasettes with the plugin, in this process, and the telemetry that they send to the global providers."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import datasette.handle_exception
import datasette.telemetry
import opentelemetry._logs._internal
import opentelemetry.metrics._internal
import opentelemetry.trace
import pytest
from datasette.app import Datasette
from datasette.database import Database
from datasette.plugins import pm
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

from heliograph.integrations.datasette import plugin
from heliograph.telemetry import metrics
from integrations.datasette.deadline_clock import Clock
from recorder import Telemetry

# Where rich is installed, Datasette prints errors with the values of all variables, which takes a second each time.
datasette.handle_exception.rich = None  # type: ignore[attr-defined]


class CompiledTemplates(BytecodeCache):
    """Keeps compiled templates for all Datasettes of the process. Compiling them takes longer than most requests."""

    def __init__(self) -> None:
        self._compiled: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if compiled := self._compiled.get(bucket.key):
            bucket.bytecode_from_string(compiled)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._compiled[bucket.key] = bucket.bytecode_to_string()


compiled_templates = CompiledTemplates()


class Instances:
    """Creates Datasettes with heliograph and other plugins. Closing it closes them and unregisters the plugins."""

    def __init__(self) -> None:
        self._made: list[Datasette] = []
        self._plugins: list[object] = []

    async def __call__(self, *plugins: object, config: dict[str, Any] | None = None, **kwargs: Any) -> Datasette:
        """Return a started Datasette with a database `data`, in which everybody may write."""
        for each in (plugin, *plugins):
            if not pm.is_registered(each):
                pm.register(each)
                self._plugins.append(each)
        permissions = dict.fromkeys(("create-table", "insert-row", "update-row", "delete-row", "drop-table"), True)
        instance = Datasette(memory=True, config={"permissions": permissions, **(config or {})}, **kwargs)
        instance.add_database(Database(instance, memory_name=str(uuid4())), name="data")
        instance.get_jinja_environment().bytecode_cache = compiled_templates
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
    """A function that creates Datasettes."""
    made = Instances()
    yield made
    made.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of deadlines."""
    clock = Clock()
    monkeypatch.setattr("heliograph.runtime.deadline.time", clock)
    return clock


@pytest.fixture
def set_globally(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that sets the global providers for this test. The plugin uses the providers that are set."""

    def set_globally(
        *, tracer_provider: object = None, logger_provider: object = None, meter_provider: object = None
    ) -> None:
        monkeypatch.setattr(opentelemetry.trace, "_TRACER_PROVIDER", tracer_provider)
        monkeypatch.setattr(opentelemetry._logs._internal, "_LOGGER_PROVIDER", logger_provider)
        monkeypatch.setattr(opentelemetry.metrics._internal, "_METER_PROVIDER", meter_provider)
        # These two keep objects made for the providers of an earlier test, for the life of the process.
        monkeypatch.setattr(datasette.telemetry.tracer, "_real_tracer", None)
        monkeypatch.setattr(metrics._metrics_by_provider, "_made", weakref.WeakKeyDictionary())

    return set_globally


@pytest.fixture
def telemetry(telemetry: Telemetry, set_globally: Callable[..., None]) -> Telemetry:
    """Telemetry in memory: its providers are the global ones."""
    set_globally(**telemetry.providers)
    return telemetry
