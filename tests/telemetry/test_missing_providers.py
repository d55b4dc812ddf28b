"""A host that lacks a provider says how to set one, and its flush returns False if events were lost."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from heliograph import Event, Host, Settings, Signal
from heliograph.telemetry.missing_providers import (
    MissingProviders,
    advice_for_datasette,
    advice_for_host,
    variable_that_asks_for_export,
)
from heliograph.telemetry.providers import Providers
from otlp_receiver import Receiver
from processes import otlp
from recorder import Telemetry
from scripts import python


@dataclass
class Happened(Event):
    name = "happened"


def host_with(*signals: Signal, **providers: object) -> Host:
    return Host(Settings(signals=frozenset(signals)), events=[Happened], **providers)  # type: ignore[arg-type]


# A program that has a TracerProvider of its own, and nothing else.
BESIDE_A_TRACER_PROVIDER = """
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import set_tracer_provider
own = TracerProvider()
set_tracer_provider(own)
"""


@pytest.mark.parametrize("own", ["", BESIDE_A_TRACER_PROVIDER], ids=["no OpenTelemetry", "a TracerProvider"])
def test_configure_delivers_whatever_the_program_has_set_up(own: str) -> None:
    """One call is right with and without a setup of OpenTelemetry of the program's own, which is never replaced."""
    with Receiver() as receiver:
        ran = python(
            own
            + """
from opentelemetry.trace import get_tracer_provider
with configure(plugins=[Plugin()]) as host:
    host.track(Tick(n=1))
    host.track(Tick(n=2))
    report(flushed=host.flush(), is_own=get_tracer_provider() is globals().get("own"))
""",
            **otlp(receiver.endpoint),
        )

        assert [log.event_name for log in receiver.logs()] == ["test.tick", "test.tick"]
    assert ran.only == {"flushed": True, "is_own": bool(own)}
    assert ran.stderr == ""


def test_host_beside_a_tracer_provider_alone_does_not_claim_success() -> None:
    """The warning names the variable that has no effect, and `configure`."""
    ran = python(
        BESIDE_A_TRACER_PROVIDER
        + """
host = Host(plugins=[Plugin()])
host.track(Tick(n=1))
report(flushed=[host.flush(), host.flush()])
""",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
    )

    assert ran.only == {"flushed": [False, True]}
    [line] = ran.stderr.splitlines()
    assert (
        "No LoggerProvider is set, so events are not emitted as 'log'. OTEL_EXPORTER_OTLP_ENDPOINT is set, but" in line
    )
    assert "heliograph.configure()" in line


def test_flush_reports_a_loss_once(telemetry: Telemetry) -> None:
    """A flush is True again for what happened since, and a host that has tracked nothing has lost nothing."""
    with host_with(Signal.LOG, tracer_provider=telemetry.tracer_provider) as host:
        assert host.flush()
        host.track(Happened())
        assert not host.flush()
        assert host.flush()
        host.track(Happened())
        assert not host.shutdown()


def test_program_without_telemetry_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host for hooks and tokens alone needs no OpenTelemetry. A variable that asks for export says that it should have some."""
    with host_with(Signal.LOG) as host:
        host.track(Happened())
        assert host.flush()
        host.track(Happened())
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
        assert not host.flush()


@pytest.mark.parametrize("provider", ["tracer_provider", "logger_provider", "meter_provider"])
def test_any_provider_sets_telemetry_up(telemetry: Telemetry, provider: str) -> None:
    """With any one provider, an event that needs another one is lost."""
    with host_with(Signal.LOG, Signal.SPAN, **{provider: telemetry.providers[provider]}) as host:
        host.track(Happened())

        assert not host.flush()


def test_span_event_is_no_loss_where_the_events_are_log_records_too(telemetry: Telemetry) -> None:
    """Without a provider no span records, so the program has no span that could lack its event."""
    with host_with(Signal.LOG, Signal.SPAN_EVENT, logger_provider=telemetry.logger_provider) as host:
        host.track(Happened())

        assert host.flush()


@pytest.mark.parametrize("signals", [(Signal.SPAN_EVENT,), (Signal.SPAN,), (Signal.LOG, Signal.SPAN)])
def test_missing_tracer_provider_is_a_loss_otherwise(signals: tuple[Signal, ...], telemetry: Telemetry) -> None:
    """The event is emitted nowhere, or not as the span that the settings ask for."""
    with host_with(*signals, logger_provider=telemetry.logger_provider) as host:
        host.track(Happened())

        assert not host.flush()


def test_nothing_is_lost_where_telemetry_is_disabled(
    monkeypatch: pytest.MonkeyPatch, warnings: pytest.LogCaptureFixture
) -> None:
    """The environment wants no telemetry, so a flush succeeds without a warning."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")

    with host_with(Signal.LOG) as host:
        host.track(Happened())

        assert host.flush()
    assert warnings.records == []


def test_child_process_does_not_report_the_losses_of_its_parent() -> None:
    """A flush answers for the events of its own process."""
    ran = python(
        """
host = Host(plugins=[Plugin()])
host.track(Tick(n=1))
if not os.fork():
    report(child=host.flush())
    os._exit(0)
os.wait()
report(parent=host.flush())
""",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
    )

    assert ran.reports == [{"child": True}, {"parent": False}]


@pytest.mark.parametrize(
    ("signals", "intended"),
    [
        ((Signal.LOG, Signal.SPAN), "If this is intended, remove 'log' from HELIOGRAPH_SIGNALS."),
        ((Signal.LOG,), "If this is intended, set OTEL_SDK_DISABLED=true."),
    ],
)
def test_warning_says_how_to_have_none(
    signals: tuple[Signal, ...], intended: str, warnings: pytest.LogCaptureFixture
) -> None:
    """The setting needs at least one signal, so the only one cannot be removed from it."""
    MissingProviders(signals, Providers(), lambda _: "Set one.").report(Signal.LOG, "LoggerProvider", is_lost=True)

    assert warnings.messages == [f"No LoggerProvider is set, so events are not emitted as 'log'. Set one. {intended}"]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "Make the host with heliograph.configure(), after any other setup of OpenTelemetry"),
        ({"OTEL_LOGS_EXPORTER": "console"}, "OTEL_LOGS_EXPORTER is set, but Host() does not read it."),
        ({"OTEL_CONFIG_FILE": "otel.yaml"}, "Add it to the file of OTEL_CONFIG_FILE"),
        ({"OTEL_CONFIG_FILE": "a.yaml", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a"}, "Add it to the file of"),
    ],
)
def test_advice_for_a_host(environ: dict[str, str], expected: str) -> None:
    """The advice names `configure`, and the variable that would have an effect there."""
    assert expected in advice_for_host(environ)
    assert "heliograph.configure()" in advice_for_host(environ)


def test_advice_for_datasette() -> None:
    """The plugin sets providers by itself once a variable says where to send, and leaves it to the file if there is one."""
    assert advice_for_datasette({}).startswith("Set OTEL_EXPORTER_OTLP_ENDPOINT before Datasette starts")
    assert advice_for_datasette({"OTEL_CONFIG_FILE": "x"}) == "Add it to the file of OTEL_CONFIG_FILE."


@pytest.mark.parametrize(
    ("name", "asks"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", True),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", True),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", True),
        ("OTEL_METRICS_EXPORTER", True),
        ("OTEL_CONFIG_FILE", True),
        ("OTEL_SERVICE_NAME", False),
        ("OTEL_EXPORTER_OTLP_HEADERS", False),
    ],
)
def test_variable_that_asks_for_export(name: str, asks: bool) -> None:
    """An endpoint, an exporter or a file asks for export; an empty variable, or any other, does not."""
    assert variable_that_asks_for_export({name: "x"}) == (name if asks else None)
    assert variable_that_asks_for_export({name: ""}) is None
    assert variable_that_asks_for_export({}) is None
