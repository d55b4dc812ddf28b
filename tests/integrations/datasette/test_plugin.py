"""The hooks report every problem at startup, and log their own failures afterwards."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from datasette.utils import StartupError

from heliograph import OutboxError, SettingsError
from heliograph.integrations.datasette import plugin
from heliograph.integrations.datasette.instance_state import state_of
from heliograph.runtime.deadline import Deadline
from integrations.datasette.deadline_clock import Clock


class Instance:
    """The part of a Datasette that the hooks use."""

    event_classes = ()

    def __init__(self, **config: Any) -> None:
        self._config = config

    def plugin_config(self, plugin_name: str) -> dict[str, Any]:
        return self._config


class Providers:
    """Providers of a process. They record the settings of their set-up, which can fail."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error
        self.settings: list[object] = []
        self.timeouts: list[int] = []

    def set_up_at_startup(self, settings: object) -> None:
        self.settings.append(settings)
        if self._error is not None:
            raise self._error

    def shut_down_at_exit(self, timeout_millis: int) -> None:
        self.timeouts.append(timeout_millis)


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (SettingsError(["a wrong variable"]), "- a wrong variable"),
        (OutboxError(Path("out"), "no space"), "- out cannot be used as an outbox: no space"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_problems_of_settings_and_of_providers_are_one_error(
    monkeypatch: pytest.MonkeyPatch, error: Exception, problem: str
) -> None:
    """The providers are set up even if the settings are wrong, so that all problems are reported at once."""
    monkeypatch.setattr(plugin, "providers", Providers(error))

    with pytest.raises(StartupError) as caught:
        plugin.startup(Instance(signalz="log"))

    assert "plugins.heliograph.signalz" in str(caught.value)
    assert problem in str(caught.value)


def test_outbox_that_cannot_be_used_is_listed_with_other_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone, it is a problem of the providers, which are set up without an outbox if the settings are wrong."""
    monkeypatch.setattr(plugin, "providers", Providers())

    with pytest.raises(StartupError, match=r"plugins\.heliograph\.signalz") as caught:
        plugin.startup(Instance(signalz="log", outbox=__file__))

    assert f"- {__file__} cannot be used as an outbox: it is a file" in str(caught.value)


def test_providers_are_set_up_and_shut_down_with_the_settings_of_the_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings may name an outbox, and have the timeout of the shutdown."""
    providers = Providers()
    monkeypatch.setattr(plugin, "providers", providers)
    instance = Instance(flush_timeout_millis=700)

    plugin.startup(instance)

    assert providers.settings == [state_of(instance).settings]
    assert providers.timeouts == [700]


def test_another_error_of_the_startup_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect is no problem of the configuration, so its traceback is needed."""
    monkeypatch.setattr(plugin, "providers", Providers(ZeroDivisionError()))

    with pytest.raises(ZeroDivisionError):
        plugin.startup(Instance())


@pytest.mark.parametrize("hook", ["startup", "track_event", "actor_from_request"])
def test_hook_is_called_before_those_of_other_plugins(hook: str) -> None:
    """The settings are checked before another plugin's startup, and an event is emitted before another hook fails."""
    assert getattr(plugin, hook).datasette_impl["tryfirst"]


def test_event_that_cannot_be_emitted_is_logged(warnings: pytest.LogCaptureFixture) -> None:
    """Datasette would report the write as failed, although it was committed."""
    plugin.track_event(Instance(signalz="log"), object())

    assert warnings.messages == ["An event could not be emitted."]


def test_event_is_ignored_while_the_interpreter_ends(
    monkeypatch: pytest.MonkeyPatch, warnings: pytest.LogCaptureFixture
) -> None:
    """The modules that telemetry needs are being taken down."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "is_finalizing", lambda: True)
        plugin.track_event(Instance(signalz="log"), object())

    assert warnings.messages == []


def test_handlers_that_cannot_be_traced_are_returned_unchanged(warnings: pytest.LogCaptureFixture) -> None:
    """Tokens are verified without telemetry then."""
    handlers: list[object] = [object()]
    hook = plugin.register_token_handler(Instance(signalz="log"))
    next(hook)

    with pytest.raises(StopIteration) as stopped:
        hook.send(handlers)

    assert stopped.value.value is handlers
    assert warnings.messages == ["The operations of token handlers cannot be traced."]


@pytest.mark.anyio
async def test_shutdown_flushes_in_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flush waits for servers, and must not block Datasette's event loop."""
    calls: list[tuple[float, bool]] = []
    monkeypatch.setattr(
        plugin,
        "flush",
        lambda deadline: calls.append((deadline.timeout_millis, threading.current_thread() is threading.main_thread())),
    )

    await plugin.shutdown(Instance(flush_timeout_millis=700))()

    assert calls == [(700, False)]


@pytest.mark.anyio
async def test_steps_of_the_shutdown_have_one_deadline(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """Each step has the time that those before it have left, and the exit has the rest."""
    flushed: list[float] = []
    limits: list[float] = []
    spent: list[float] = []

    def flush(deadline: Deadline) -> None:
        flushed.append(deadline.remaining())

    async def work() -> None:
        clock.now += 0.3

    instance = Instance(flush_timeout_millis=700)
    state = state_of(instance)
    monkeypatch.setattr(plugin, "flush", flush)
    monkeypatch.setattr(plugin.providers, "note_shutdown", spent.append)
    monkeypatch.setattr(state, "end_recent", limits.append)
    monkeypatch.setattr(state, "end_quarantine", limits.append)
    state.tracker.run_later(work)

    await plugin.shutdown(instance)()

    assert flushed == pytest.approx([400])
    assert limits == pytest.approx([400, 400])
    assert spent == pytest.approx([300])


@pytest.mark.anyio
async def test_shutdown_does_nothing_after_a_startup_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings were reported by then. A second error would hide the first one, and stop the shutdown of other plugins."""
    monkeypatch.setattr(plugin, "providers", Providers())
    instance = Instance(signalz="log")
    with pytest.raises(StartupError):
        plugin.startup(instance)

    await plugin.shutdown(instance)()

    assert plugin.providers.timeouts == []
