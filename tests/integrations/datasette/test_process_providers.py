"""The providers of a process are set in two steps, as far as the environment asks for export, and shut down at exit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from datasette.cli import cli

from heliograph import OutboxError, Settings, SettingsError
from heliograph.integrations.datasette.process_providers import ProcessProviders, flush
from heliograph.runtime.deadline import Deadline
from heliograph.sdk.exporters import TelemetrySignal
from integrations.datasette.deadline_clock import Clock

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
ALONE = {"DATASETTE_LOAD_PLUGINS": "heliograph"}
EVERY_SIGNAL = tuple(TelemetrySignal)


class ProviderUse:
    """A provider that records the timeouts of its shutdowns."""

    signal: TelemetrySignal | None = None

    def __init__(self) -> None:
        self.shutdowns: list[float] = []

    def shutdown(self, timeout_millis: float) -> bool:
        self.shutdowns.append(timeout_millis)
        return True


class SetUps:
    """A fake of `set_up_providers` that records the signals of each call and returns one provider."""

    def __init__(self) -> None:
        self.signals: list[tuple[TelemetrySignal, ...]] = []
        self.warned: list[TelemetrySignal] = []
        self.uses: list[ProviderUse] = []
        self.error: Exception | None = None

    def __call__(self, environ: object, *signals: TelemetrySignal, **kwargs: Any) -> list[ProviderUse]:
        self.signals.append(signals)
        self.warned += kwargs.get("warned", ())
        if self.error is not None:
            raise self.error
        self.uses.append(ProviderUse())
        return self.uses[-1:]


@pytest.fixture
def set_ups(monkeypatch: pytest.MonkeyPatch) -> SetUps:
    """The calls of `set_up_providers`, which set no provider in this test."""
    set_ups = SetUps()
    monkeypatch.setattr("heliograph.sdk.setup.set_up_providers", set_ups)
    return set_ups


@pytest.fixture
def at_exit(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Callable[[float], object], float]]:
    """The functions that would be called at exit, each with its timeout."""
    registered: list[tuple[Callable[[float], object], float]] = []

    def register(function: Callable[[], object], timeout_millis: float, *, in_children: Callable[[], object]) -> None:
        assert callable(in_children)
        registered.append((function, timeout_millis))

    monkeypatch.setattr("heliograph.runtime.at_exit.AtExit", register)
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
    """Without an endpoint and an outbox, the plugin is dormant."""
    ProcessProviders(environ).set_up_at_startup(settings)

    assert set_ups.signals == signals


def test_spans_move_to_the_outbox_that_the_settings_name(set_ups: SetUps, monkeypatch: pytest.MonkeyPatch) -> None:
    """The TracerProvider is set at import, when the settings are not known yet."""
    moved: list[object] = []
    monkeypatch.setattr("heliograph.sdk.setup.move_spans_to_outbox", lambda _, settings: moved.append(settings.outbox))
    monkeypatch.setattr(ProviderUse, "signal", TelemetrySignal.TRACES)
    providers = ProcessProviders({**ENDPOINT, **ALONE})

    providers.set_up_at_import()
    providers.set_up_at_startup(Settings(outbox=Path("outbox")))

    assert moved == [Path("outbox")]
    assert set_ups.signals == [(TelemetrySignal.TRACES,), (TelemetrySignal.METRICS, TelemetrySignal.LOGS)]


def test_all_uses_of_providers_end_at_exit_once(
    set_ups: SetUps,
    at_exit: list[tuple[Callable[[float], object], float]],
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
) -> None:
    """All global providers are flushed before. A second Datasette in the process registers nothing more."""
    flushes: list[float] = []
    monkeypatch.setattr(
        "heliograph.integrations.datasette.process_providers.flush",
        lambda deadline: flushes.append(deadline.remaining()),
    )
    providers = ProcessProviders({**ENDPOINT, **ALONE})
    providers.set_up_at_import()
    for timeout in (100, 200):
        providers.set_up_at_startup()
        providers.shut_down_at_exit(timeout)

    [(shutdown, timeout)] = at_exit
    shutdown(timeout)

    assert timeout == 100
    assert flushes == pytest.approx([100])
    assert [use.shutdowns for use in set_ups.uses] == [pytest.approx([100])] * 3


@pytest.mark.parametrize(
    ("group", "command", "timeout"),
    [
        (cli, cli.commands["create-token"], 1000),
        (cli, cli.commands["serve"], 5000),
        (click.Group("other"), click.Command("create-token"), 5000),
        (None, None, 5000),
    ],
    ids=["create-token", "serve", "another-program", "no-command"],
)
def test_short_command_does_not_wait_long_for_the_backend(
    set_ups: SetUps,
    at_exit: list[tuple[Callable[[float], object], float]],
    group: click.Group | None,
    command: click.Command | None,
    timeout: int,
) -> None:
    """A person waits for the command. A server has the time of the settings, and so has a program that runs Datasette."""
    providers = ProcessProviders(ENDPOINT)
    providers.set_up_at_startup()
    with contextlib.ExitStack() as stack:
        if group is not None and command is not None:
            stack.enter_context(click.Context(command, parent=click.Context(group)))
        providers.shut_down_at_exit(5000)

    assert [registered for _, registered in at_exit] == [timeout]


def test_short_command_waits_no_longer_than_the_settings_say(
    set_ups: SetUps, at_exit: list[tuple[Callable[[float], object], float]]
) -> None:
    """The limit of commands only makes the time shorter."""
    providers = ProcessProviders(ENDPOINT)
    providers.set_up_at_startup()
    with click.Context(cli.commands["create-token"], parent=click.Context(cli)):
        providers.shut_down_at_exit(100)

    assert [registered for _, registered in at_exit] == [100]


@pytest.mark.parametrize(("spent", "flushes"), [(0, [1000]), (300, [700]), (1000, [])], ids=["none", "some", "all"])
def test_stop_of_the_server_and_exit_have_one_timeout(
    set_ups: SetUps, monkeypatch: pytest.MonkeyPatch, clock: Clock, spent: float, flushes: list[float]
) -> None:
    """A backend that does not answer is waited for once. After the whole timeout, the exit flushes no more."""
    flushed: list[float] = []
    monkeypatch.setattr(
        "heliograph.integrations.datasette.process_providers.flush",
        lambda deadline: flushed.append(deadline.remaining()),
    )
    providers = ProcessProviders(ENDPOINT)
    providers.set_up_at_startup()

    providers.note_shutdown(spent)
    providers._shutdown(1000)

    assert flushed == pytest.approx(flushes)
    assert set_ups.uses[0].shutdowns == pytest.approx([1000 - spent])


def test_server_that_starts_after_another_has_the_whole_timeout(
    set_ups: SetUps, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """A process may serve one Datasette after another; its telemetry must not be given up because of the first one."""
    monkeypatch.setattr("heliograph.integrations.datasette.process_providers.flush", lambda _: None)
    providers = ProcessProviders(ENDPOINT)
    providers.set_up_at_startup()
    providers.note_shutdown(1000)

    providers.set_up_at_startup()

    providers._shutdown(1000)
    assert set_ups.uses[0].shutdowns == pytest.approx([1000])


def test_nothing_is_registered_for_exit_if_no_provider_is_used(
    set_ups: SetUps, at_exit: list[tuple[Callable[[float], object], float]]
) -> None:
    """A dormant plugin starts no thread."""
    providers = ProcessProviders({})
    providers.set_up_at_startup()

    providers.shut_down_at_exit(100)

    assert at_exit == []


def test_flush_that_loses_telemetry_is_a_warning(telemetry, set_globally, warnings: pytest.LogCaptureFixture) -> None:
    """A flush that delivers everything logs nothing."""
    flush(Deadline(20_000))
    assert warnings.messages == []

    class Losing(type(telemetry.tracer_provider)):  # type: ignore[misc]
        def force_flush(self, timeout_millis: int = 0) -> bool:
            return False

    set_globally(**{**telemetry.providers, "tracer_provider": Losing(shutdown_on_exit=False)})
    flush(Deadline(20_000))

    assert warnings.messages == [
        "Not all telemetry was delivered within 20000 ms; the rest may be lost. Check that the backend is reachable."
    ]


@pytest.mark.parametrize(
    ("environ", "owners"),
    [
        ({"DATASETTE_LOAD_PLUGINS": "heliograph,datasette-otel-viewer"}, ["datasette-otel-viewer"]),
        ({"DATASETTE_LOAD_PLUGINS": "heliograph,datasette-otel-viewer", "OTEL_TRACES_EXPORTER": "none"}, []),
        ({"DATASETTE_LOAD_PLUGINS": "heliograph,datasette-otel-viewer", "OTEL_SDK_DISABLED": "true"}, []),
        ({"DATASETTE_LOAD_PLUGINS": "heliograph,datasette-otel-viewer,datasette-otel-otlp-exporter"}, []),
        (ALONE, []),
    ],
)
def test_spans_that_a_sibling_keeps_are_a_warning(
    set_ups: SetUps, warnings: pytest.LogCaptureFixture, environ: dict[str, str], owners: list[str]
) -> None:
    """A process has one TracerProvider, and the sibling set it. The warning names the sibling."""
    ProcessProviders({**ENDPOINT, **environ}).set_up_at_startup()

    assert [message.partition(" and not ")[0] for message in warnings.messages] == [
        f"Spans, and the events in them, go to {owner}" for owner in owners
    ]


@pytest.mark.parametrize("asks", [{}, ENDPOINT])
def test_spans_that_a_sibling_keeps_from_the_outbox_are_one_warning(
    set_ups: SetUps, warnings: pytest.LogCaptureFixture, asks: dict[str, str]
) -> None:
    """The outbox asks for export, with or without an endpoint. `set_up_providers` has nothing to add for spans."""
    environ = {**asks, "DATASETTE_LOAD_PLUGINS": "heliograph,datasette-otel-viewer"}
    ProcessProviders(environ).set_up_at_startup(Settings(outbox="outbox"))

    [message] = warnings.messages
    assert "go to datasette-otel-viewer and not to an OTLP endpoint, nor to the outbox" in message
    assert set_ups.warned == [TelemetrySignal.TRACES]
