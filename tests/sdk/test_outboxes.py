"""The outbox of a program: its processors, and the warning of providers that it has no effect on."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.trace import NoOpTracerProvider

from heliograph import Settings, SettingsError, configure
from heliograph.sdk import outboxes
from heliograph.sdk.exporters import TelemetrySignal, select


def test_processor_is_created_for_each_signal_that_otlp_exports(tmp_path: Path) -> None:
    """Metrics, and signals with another exporter, go to no outbox."""
    environ = {"OTEL_TRACES_EXPORTER": "console", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    selections = {signal: select(signal, environ) for signal in TelemetrySignal}

    found = outboxes.outbox_processors(environ, selections, Settings(outbox=tmp_path))

    try:
        assert list(found) == [TelemetrySignal.LOGS]
        assert found[TelemetrySignal.LOGS].directory == tmp_path
    finally:
        for each in found.values():
            each.shutdown(0)


def test_problems_of_all_destinations_are_reported_at_once(tmp_path: Path) -> None:
    """No outbox is created before all destinations are right."""
    environ = {f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT": f"no-url-for-{signal}" for signal in ("LOGS", "TRACES")}
    selections = {signal: select(signal, environ) for signal in TelemetrySignal}

    with pytest.raises(SettingsError) as raised:
        outboxes.outbox_processors(environ, selections, Settings(outbox=tmp_path / "box"))

    assert [signal in str(raised.value) for signal in ("LOGS", "TRACES")] == [True, True]
    assert not (tmp_path / "box").exists()


@pytest.mark.parametrize(
    ("provider", "is_stored", "count"),
    [(object(), False, 1), (object(), True, 0), (None, False, 0), (NoOpTracerProvider(), False, 0)],
    ids=["elsewhere", "has an outbox", "not set", "does nothing"],
)
def test_provider_without_an_outbox_is_a_warning(
    provider: object,
    is_stored: bool,
    count: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(outboxes, "find_provider", lambda _: provider)
    monkeypatch.setattr("heliograph.delivery.storages.stores_signal", lambda _: is_stored)

    outboxes.warn_of_unused_outbox(Settings(outbox="box"), [TelemetrySignal.TRACES])

    assert caplog.text.count("call `provider.add_span_processor(OutboxSpanProcessor('box'))`") == count


@pytest.fixture
def wrong_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Environment variables of which three cannot work: a signal, an exporter and the outbox, whose path is returned. It is a file."""
    outbox = tmp_path / "outbox"
    outbox.touch()
    monkeypatch.setenv("HELIOGRAPH_SIGNALS", "logs")
    monkeypatch.setenv("HELIOGRAPH_OUTBOX", str(outbox))
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "pigeon")
    return outbox


def test_outbox_that_cannot_be_used_is_listed_with_other_problems(wrong_environment: Path) -> None:
    """A person can fix all the problems after one start."""
    with pytest.raises(SettingsError) as caught:
        configure()

    signals, exporter, outbox = caught.value.problems
    assert signals.startswith("HELIOGRAPH_SIGNALS: ")
    assert exporter.startswith("OTEL_LOGS_EXPORTER: ")
    assert outbox.startswith(f"{wrong_environment} cannot be used as an outbox: ")


def test_outbox_of_settings_in_code_is_listed_with_problems_of_the_environment(wrong_environment: Path) -> None:
    """With settings in code, wrong variables `HELIOGRAPH_*` do not count."""
    with pytest.raises(SettingsError) as caught:
        configure(Settings(outbox=wrong_environment))

    assert [each.partition(" ")[0] for each in caught.value.problems] == ["OTEL_LOGS_EXPORTER:", str(wrong_environment)]


def test_outbox_is_not_checked_if_nothing_is_exported(wrong_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An outbox that is not used is not created, either."""
    wrong_environment.unlink()
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")

    with pytest.raises(SettingsError) as caught:
        configure()

    assert [each.partition(":")[0] for each in caught.value.problems] == ["HELIOGRAPH_SIGNALS"]
    assert not wrong_environment.exists()
