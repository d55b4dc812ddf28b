"""The providers of a process are set in two steps, as far as the environment asks for export, and shut down at exit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from heliograph import OutboxError, Settings, SettingsError
from heliograph.integrations.datasette.process_providers import ProcessProviders, flush
from heliograph.sdk.exporters import TelemetrySignal

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
ALONE = {"DATASETTE_LOAD_PLUGINS": "heliograph"}
EVERY_SIGNAL = tuple(TelemetrySignal)


class OwnedProvider:
    """A provider that records the timeouts of its shutdowns."""

    def __init__(self) -> None:
        self.shutdowns: list[float] = []

    def shutdown(self, timeout_millis: float) -> bool:
        self.shutdowns.append(timeout_millis)
        return True


class SetUps:
    """A fake of `set_up_providers` that records the signals of each call and returns one provider."""

    def __init__(self) -> None:
        self.signals: list[tuple[TelemetrySignal, ...]] = []
        self.owned: list[OwnedProvider] = []
        self.error: Exception | None = None

    def __call__(self, environ: object, *signals: TelemetrySignal, **kwargs: Any) -> list[OwnedProvider]:
        self.signals.append(signals)
        if self.error is not None:
            raise self.error
        self.owned.append(OwnedProvider())
        return self.owned[-1:]


@pytest.fixture
def set_ups(monkeypatch: pytest.MonkeyPatch) -> SetUps:
    """The calls of `set_up_providers`, which set no provider in this test."""
    set_ups = SetUps()
    monkeypatch.setattr("heliograph.sdk.setup.set_up_providers", set_ups)
    return set_ups


@pytest.fixture
def at_exit(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Callable[[], object], float]]:
    """The functions that would be called at exit, each with its timeout."""
    registered: list[tuple[Callable[[], object], float]] = []
    monkeypatch.setattr(
        "heliograph.runtime.at_exit.AtExit", lambda function, timeout: registered.append((function, timeout))
    )
    return registered


@pytest.mark.parametrize(
    ("loaded", "signals"),
    [
        ("heliograph", [(TelemetrySignal.TRACES,)]),
        ("heliograph,datasette-otel-prometheus", [(TelemetrySignal.TRACES,)]),
        ("heliograph,datasette-otel-viewer", []),
        ("heliograph, Datasette_OTel_Viewer", []),
        ("", [(TelemetrySignal.TRACES,)]),
        (None, []),
    ],
)
def test_import_sets_a_tracer_provider_unless_a_sibling_is_loaded(
    set_ups: SetUps, loaded: str | None, signals: list[tuple[TelemetrySignal, ...]]
) -> None:
    """Without `DATASETTE_LOAD_PLUGINS`, Datasette loads every installed plugin, the siblings among them."""
    ProcessProviders(ENDPOINT if loaded is None else {**ENDPOINT, "DATASETTE_LOAD_PLUGINS": loaded}).set_up_at_import()

    assert set_ups.signals == signals


@pytest.mark.parametrize("error", [SettingsError(["a problem"]), OutboxError(Path("x"), "a reason"), OSError()])
def test_error_is_ignored_at_import_and_raised_at_startup(set_ups: SetUps, error: Exception) -> None:
    """An error at import would break commands that export nothing."""
    set_ups.error = error
    providers = ProcessProviders({**ENDPOINT, **ALONE})

    providers.set_up_at_import()

    with pytest.raises(type(error)):
        providers.set_up_at_startup()


@pytest.mark.parametrize(
    ("environ", "settings", "signals"),
    [
        ({}, None, []),
        ({}, Settings(), []),
        ({}, Settings(outbox=Path("outbox")), [EVERY_SIGNAL]),
        (ENDPOINT, None, [EVERY_SIGNAL]),
    ],
    ids=["nothing", "settings", "outbox", "endpoint"],
)
def test_startup_sets_every_provider_if_the_environment_or_an_outbox_asks_for_export(
    set_ups: SetUps, environ: dict[str, str], settings: Settings | None, signals: list[tuple[TelemetrySignal, ...]]
) -> None:
    """Without either, the plugin is dormant."""
    ProcessProviders(environ).set_up_at_startup(settings)

    assert set_ups.signals == signals


def test_all_owned_providers_are_shut_down_at_exit_once(
    set_ups: SetUps, at_exit: list[tuple[Callable[[], object], float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All global providers are flushed before. A second Datasette in the process registers nothing more."""
    flushes: list[float] = []
    monkeypatch.setattr("heliograph.integrations.datasette.process_providers.flush", flushes.append)
    providers = ProcessProviders({**ENDPOINT, **ALONE})
    providers.set_up_at_import()
    for timeout in (100, 200):
        providers.set_up_at_startup()
        providers.shut_down_at_exit(timeout)

    [(shutdown, timeout)] = at_exit
    shutdown()

    assert timeout == 100
    assert flushes == [100]
    assert [owned.shutdowns for owned in set_ups.owned] == [[100]] * 3


def test_nothing_is_registered_for_exit_without_owned_providers(
    set_ups: SetUps, at_exit: list[tuple[Callable[[], object], float]]
) -> None:
    """A dormant plugin starts no thread."""
    providers = ProcessProviders({})
    providers.set_up_at_startup()

    providers.shut_down_at_exit(100)

    assert at_exit == []


def test_flush_that_loses_telemetry_is_a_warning(telemetry, set_globally, warnings: pytest.LogCaptureFixture) -> None:
    """A flush that delivers everything logs nothing."""
    flush(20_000)
    assert warnings.messages == []

    class Losing(type(telemetry.tracer_provider)):  # type: ignore[misc]
        def force_flush(self, timeout_millis: int = 0) -> bool:
            return False

    set_globally(**{**telemetry.providers, "tracer_provider": Losing(shutdown_on_exit=False)})
    flush(20_000)

    assert warnings.messages == [
        "Not all telemetry was delivered within 20000 ms; the rest may be lost. Check that the backend is reachable."
    ]
