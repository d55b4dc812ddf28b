"""The providers that `configure` creates from the environment; a provider that is set already stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk._logs import LogRecordProcessor

from backends import Collector, wait_until
from heliograph import OutboxFullPolicy, OutboxSync, OutboxWrite, Settings
from heliograph.sdk import global_providers, setup
from heliograph.sdk.exporters import TelemetrySignal
from otlp_receiver import Receiver
from processes import otlp
from scripts import python

WORK = """
from opentelemetry import trace
with configure(plugins=[Plugin()]) as host:
    with trace.get_tracer("tests").start_as_current_span("work"):
        for n in range(5):
            host.track(Tick(n=n))
    report(flushed=host.flush())
"""


def test_all_three_signals_arrive(receiver: Receiver) -> None:
    """Log records, a span with its events, and metrics arrive with the attributes of the resource."""
    ran = python(
        WORK,
        **otlp(
            receiver.endpoint,
            OTEL_SERVICE_NAME="shop",
            OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test,service.name=ignored",
            OTEL_EXPORTER_OTLP_HEADERS="x-tenant=acme",
            OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        ),
    )

    assert ran.only == {"flushed": True}
    [span] = receiver.spans()
    assert len(receiver.logs()) == len(span.events) == 5
    assert {metric.scope for metric in receiver.metrics()} == {"heliograph"}
    for thing in (span, *receiver.logs(), *receiver.metrics()):
        assert thing.resource["service.name"] == "shop"
        assert thing.resource["deployment.environment.name"] == "test"


def test_provider_that_is_set_stays() -> None:
    """The program's own provider gets the events, without a warning; only the missing providers are created."""
    ran = python(
        """
import logging, warnings
from opentelemetry import metrics, trace
from opentelemetry._logs import get_logger_provider, set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
exporter, mine = InMemoryLogRecordExporter(), LoggerProvider()
mine.add_log_record_processor(SimpleLogRecordProcessor(exporter))
set_logger_provider(mine)
with configure(plugins=[Plugin()]) as host:
    first = trace.get_tracer_provider(), metrics.get_meter_provider()
    host.track(Tick(n=1))
    with configure(plugins=[Plugin()]) as second:
        second.track(Tick(n=2))
        report(mine=get_logger_provider() is mine,
            kept=first == (trace.get_tracer_provider(), metrics.get_meter_provider()),
            made=[type(each).__name__ for each in first], logs=len(exporter.get_finished_logs()))
mine.get_logger("after").emit(body="still works")
report(logs=len(exporter.get_finished_logs()))
""",
        OTEL_TRACES_EXPORTER="none",
        OTEL_METRICS_EXPORTER="none",
    )

    assert ran.reports == [
        {"mine": True, "kept": True, "made": ["CountingTracerProvider", "CountingMeterProvider"], "logs": 2},
        {"logs": 3},
    ]
    assert ran.stderr == ""


def test_installed_distributions_are_read_once_for_exporters(receiver: Receiver) -> None:
    """Each host reads them once more, for its plugins. The check of the environment and the set-up look for the exporters of each signal."""
    ran = python(
        """
import importlib.metadata
reads, distributions = [], importlib.metadata.distributions
def counted(**arguments):
    reads.append(arguments)
    return distributions(**arguments)
importlib.metadata.distributions = counted
for _ in range(2):
    configure().shutdown()
    report(reads=len(reads))
""",
        **otlp(receiver.endpoint),
    )

    first, both = [report["reads"] for report in ran.reports]
    assert first <= 2
    assert both == first + 1


def test_disabled_sdk_is_silent(receiver: Receiver) -> None:
    """With OTEL_SDK_DISABLED, hooks run and nothing is exported; no provider is set, and there is no warning."""
    ran = python(
        """
from opentelemetry import trace
with configure(plugins=[Plugin()]) as host:
    host.track(Tick(n=1))
    report(flushed=host.flush(), provider=type(trace.get_tracer_provider()).__name__, threads=threading.active_count())
""",
        **otlp(receiver.endpoint, OTEL_SDK_DISABLED="True"),
    )

    assert ran.only == {"flushed": True, "provider": "ProxyTracerProvider", "threads": 1}
    assert ran.stderr == ""
    assert receiver.raw() == b""


def test_sampler_of_the_environment(receiver: Receiver) -> None:
    """A sampler that is off drops spans and their events; the log records are exported all the same."""
    ran = python(WORK, **otlp(receiver.endpoint, OTEL_TRACES_SAMPLER="always_off"))

    assert ran.only == {"flushed": True}
    assert receiver.spans() == []
    assert len(receiver.logs()) == 5


def test_limits_and_batches_of_the_environment(receiver: Receiver) -> None:
    """The SDK's limits hold: the number of span events, and of items in a request."""
    ran = python(WORK, **otlp(receiver.endpoint, OTEL_SPAN_EVENT_COUNT_LIMIT="2", OTEL_BLRP_MAX_EXPORT_BATCH_SIZE="2"))

    assert ran.only == {"flushed": True}
    [span] = receiver.spans()
    assert len(span.events) == 2
    assert len(receiver.logs()) == 5
    assert len(receiver._decoded("/v1/logs")) >= 3


def test_none_exports_nothing(receiver: Receiver) -> None:
    """`none` creates a provider that exports nothing, and its flush succeeds."""
    ran = python(
        WORK, **otlp(receiver.endpoint), **{f"OTEL_{each}_EXPORTER": "none" for each in ("TRACES", "METRICS", "LOGS")}
    )

    assert ran.only == {"flushed": True}
    assert receiver.raw() == b""


def test_one_error_lists_every_problem() -> None:
    """One error names the wrong values of all signals. No provider was set, and no thread was started."""
    ran = python(
        """
from heliograph import SettingsError
from opentelemetry import trace
try:
    configure()
except SettingsError as error:
    report(message=str(error), provider=type(trace.get_tracer_provider()).__name__, threads=threading.active_count())
""",
        OTEL_TRACES_EXPORTER="zipkon",
        OTEL_LOGS_EXPORTER="otpl",
        OTEL_EXPORTER_OTLP_PROTOCOL="smoke",
        HELIOGRAPH_SIGNALS="smoke",
        HELIOGRAPH_VALIDATION="quarantine",
        HELIOGRAPH_QUARANTINE="missing/quarantine.db",
    )

    reported = ran.only
    for part in (
        "HELIOGRAPH_SIGNALS",
        "quarantine: missing/quarantine.db",
        "OTEL_TRACES_EXPORTER",
        "'zipkon'",
        "OTEL_LOGS_EXPORTER",
        "'otpl'",
        "console",
    ):
        assert part in reported["message"]
    assert "OTEL_EXPORTER_OTLP_PROTOCOL: 'smoke' must be one of http/protobuf, grpc" in reported["message"]
    assert (reported["provider"], reported["threads"]) == ("ProxyTracerProvider", 1)


@pytest.mark.parametrize("has_outbox", [False, True])
def test_grpc_to_a_real_collector(collector: Collector, tmp_path: Path, has_outbox: bool) -> None:
    """With the protocol `grpc`, a real Collector receives the same telemetry."""
    service = f"over-grpc-{has_outbox}"
    outbox = {"HELIOGRAPH_OUTBOX": str(tmp_path / "outbox")} if has_outbox else {}
    ran = python(
        WORK,
        **otlp(collector.otlp_grpc_endpoint, OTEL_EXPORTER_OTLP_PROTOCOL="grpc", OTEL_SERVICE_NAME=service, **outbox),
    )

    assert ran.only == {"flushed": True}

    def arrived() -> bool:
        logs = [log for log in collector.logs() if log.resource["service.name"] == service]
        spans = [span for span in collector.traces() if span.resource["service.name"] == service]
        return (len(logs), len(spans)) == (5, 1)

    wait_until(arrived)


OUTBOX = """
from opentelemetry import trace
from opentelemetry._logs import get_logger_provider
with configure(plugins=[Plugin()]) as host:
    with trace.get_tracer("tests").start_as_current_span("work"):
        host.track(Tick(n=1))
    processors = [*get_logger_provider().parts, *trace.get_tracer_provider().parts]
    report(processors=[type(each).__name__ for each in processors], outbox=os.path.isdir(sys.argv[1]))
"""


def test_outbox_replaces_the_exporters_of_logs_and_spans(receiver: Receiver, tmp_path: Path) -> None:
    """A record or a span is delivered by the outbox alone, and not by a batch processor as well."""
    outbox = str(tmp_path / "outbox")

    ran = python(OUTBOX, outbox, HELIOGRAPH_OUTBOX=outbox, **otlp(receiver.endpoint))

    assert ran.only == {"processors": ["OutboxLogRecordProcessor", "OutboxSpanProcessor"], "outbox": True}
    assert (len(receiver.logs()), len(receiver.spans())) == (1, 1)
    assert len(receiver.spans()[0].events) == 1


def test_every_problem_of_the_destinations_of_an_outbox_is_reported(tmp_path: Path) -> None:
    ran = python(
        FAILS,
        OTEL_EXPORTER_OTLP_TRACES_HEADERS="no-value",
        OTEL_EXPORTER_OTLP_LOGS_TIMEOUT="soon",
        OTEL_METRICS_EXPORTER="none",
        HELIOGRAPH_OUTBOX=str(tmp_path / "outbox"),
    )

    assert sorted(problem.partition(":")[0] for problem in ran.only["problems"]) == [
        "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    ]
    assert ran.only["threads"] == []


MOVE = """
from heliograph import Settings
from opentelemetry import trace
from heliograph.sdk.exporters import TelemetrySignal
from heliograph.sdk.setup import move_spans_to_outbox, set_up_providers
[owned] = set_up_providers(os.environ, TelemetrySignal.TRACES)
tracer = trace.get_tracer("tests")
tracer.start_span("before").end()
for settings in (Settings(), Settings(outbox=sys.argv[1]), Settings(outbox=sys.argv[1])):
    move_spans_to_outbox(os.environ, settings)
tracer.start_span("after").end()
report(parts=[type(each).__name__ for each in owned.provider.parts], ended=owned.shutdown(60_000), threads=threading.active_count())
move_spans_to_outbox(os.environ, settings)
report(parts=owned.provider.parts)
"""


def test_spans_move_to_the_outbox_when_the_settings_are_known(receiver: Receiver, tmp_path: Path) -> None:
    """Those that ended before are exported all the same, and nothing arrives twice."""
    ran = python(MOVE, str(tmp_path / "outbox"), **otlp(receiver.endpoint))

    assert ran.reports == [{"parts": ["OutboxSpanProcessor"], "ended": True, "threads": 1}, {"parts": None}]
    assert sorted(span.name for span in receiver.spans()) == ["after", "before"]


def test_span_that_was_lost_before_the_move_is_reported(tmp_path: Path) -> None:
    """A failure of the exporter that the outbox replaced still counts."""
    ran = python(MOVE, str(tmp_path / "outbox"), OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")

    assert ran.reports[0]["ended"] is False
    assert "Not delivered to http://127.0.0.1:9/v1/traces: 1 span." in ran.stderr


def test_spans_stay_with_the_provider_of_somebody_else(tmp_path: Path) -> None:
    ran = python(
        """
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from heliograph import Settings
        from heliograph.sdk.setup import move_spans_to_outbox
        trace.set_tracer_provider(TracerProvider())
        move_spans_to_outbox(os.environ, Settings(outbox=sys.argv[1]))
        report(outbox=os.path.isdir(sys.argv[1]))
        """,
        str(tmp_path / "outbox"),
    )

    assert ran.only == {"outbox": False}


def test_outbox_is_not_used_for_logs_that_otlp_does_not_export(tmp_path: Path) -> None:
    """An outbox sends OTLP, so it cannot replace another exporter."""
    outbox = str(tmp_path / "outbox")

    ran = python(
        OUTBOX,
        outbox,
        HELIOGRAPH_OUTBOX=outbox,
        OTEL_LOGS_EXPORTER="none",
        OTEL_TRACES_EXPORTER="none",
        OTEL_METRICS_EXPORTER="none",
    )

    assert ran.only == {"processors": [], "outbox": False}


ELSEWHERE = """
from opentelemetry import trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import TracerProvider
logger_provider, tracer_provider = LoggerProvider(), TracerProvider()
set_logger_provider(logger_provider)
trace.set_tracer_provider(tracer_provider)
box = sys.argv[1]
"""
ADD = """
from heliograph import OutboxLogRecordProcessor, OutboxSpanProcessor
logger_provider.add_log_record_processor(OutboxLogRecordProcessor(box))
tracer_provider.add_span_processor(OutboxSpanProcessor(box))
"""


@pytest.mark.parametrize(
    ("first", "variables", "warnings"),
    [
        ("", {}, ["add_log_record_processor(OutboxLogRecordProcessor", "add_span_processor(OutboxSpanProcessor"]),
        ("", {"OTEL_TRACES_EXPORTER": "none"}, ["add_log_record_processor(OutboxLogRecordProcessor"]),
        ("", {"OTEL_LOGS_EXPORTER": "none"}, ["add_span_processor(OutboxSpanProcessor"]),
        (ADD, {}, []),
    ],
    ids=["both", "no traces", "no logs", "added"],
)
def test_outbox_beside_providers_that_are_set_is_a_warning(
    tmp_path: Path, first: str, variables: dict[str, str], warnings: list[str]
) -> None:
    """The providers belong to the program, which has to add the processors itself. If it has, nothing is said."""
    box = str(tmp_path / "outbox")
    ran = python(
        ELSEWHERE + first + "configure(plugins=[Plugin()]).shutdown()",
        box,
        HELIOGRAPH_OUTBOX=box,
        OTEL_METRICS_EXPORTER="none",
        **variables,
    )

    assert ran.stderr.count("the setting `outbox` has no effect") == len(warnings)
    assert all(f"call `provider.{each}({box!r}))`" in ran.stderr for each in warnings)


def test_unknown_id_generator_is_an_error() -> None:
    """The message names the generators that are installed."""
    ran = python(
        """
from heliograph import SettingsError
try:
    configure(plugins=[Plugin()])
except SettingsError as error:
    report(problems=list(error.problems))
""",
        OTEL_PYTHON_ID_GENERATOR="none_such",
    )

    [problem] = ran.only["problems"]
    assert problem.startswith("OTEL_PYTHON_ID_GENERATOR: no id generator 'none_such' is installed; use one of: ")
    assert "random" in problem


def test_unknown_providers_are_errors() -> None:
    """Each look at a global provider would raise StopIteration, which names nothing."""
    ran = python(
        """
import os
from heliograph import SettingsError
from heliograph.sdk.setup import set_up_providers
for start in (lambda: configure(plugins=[Plugin()]), lambda: set_up_providers(os.environ)):
    try:
        start()
    except SettingsError as error:
        report(problems=list(error.problems))
""",
        OTEL_PYTHON_LOGGER_PROVIDER="none_such",
        OTEL_PYTHON_TRACER_PROVIDER="sdk_tracer_provider",
    )

    for reported in ran.reports:
        [problem] = reported["problems"]
        assert problem.startswith(
            "OTEL_PYTHON_LOGGER_PROVIDER: no logger provider 'none_such' is installed; use one of: "
        )
    assert len(ran.reports) == 2


@pytest.mark.parametrize(
    ("name", "is_known"), [("none_such", False), ("Always_Off", True), ("parentbased_traceidratio", True), ("", True)]
)
def test_unknown_sampler_is_a_warning(caplog: pytest.LogCaptureFixture, name: str, is_known: bool) -> None:
    """The SDK's own line does not name the variable."""
    setup._warn_of_sampler({"OTEL_TRACES_SAMPLER": name})

    start = f"OTEL_TRACES_SAMPLER: no sampler {name!r} is installed; use one of: always_off, always_on, "
    assert [record.message.startswith(start) for record in caplog.records] == [True] * (not is_known)


FAILS = """
from heliograph import SettingsError
from opentelemetry import trace
try:
    configure(plugins=[Plugin()])
except SettingsError as error:
    problems = list(error.problems)
others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
for thread in others:
    thread.join(20)  # the SDK does not wait for the threads in which it has detected the resource
threads = [thread.name for thread in others if thread.is_alive()]
report(problems=problems, provider=type(trace.get_tracer_provider()).__name__, threads=threads)
"""


def test_providers_that_were_built_are_closed_if_a_later_one_fails() -> None:
    """The SDK rejects the size of the queue when the logs are built, after the traces: no thread of a provider still runs."""
    ran = python(FAILS, OTEL_BLRP_MAX_QUEUE_SIZE="0", OTEL_METRICS_EXPORTER="none")

    [problem] = ran.only["problems"]
    assert problem.startswith("logs cannot be exported: max_queue_size must be a positive integer")
    assert problem.endswith("(OTEL_BLRP_MAX_QUEUE_SIZE)")
    assert (ran.only["provider"], ran.only["threads"]) == ("ProxyTracerProvider", [])


def test_outbox_is_closed_if_its_provider_cannot_be_built(tmp_path: Path) -> None:
    """The exporter beside the outbox cannot be made, so no provider owns the outbox; its thread ends all the same."""
    ran = python(
        FAILS,
        OTEL_LOGS_EXPORTER="otlp,console",
        OTEL_BLRP_MAX_QUEUE_SIZE="0",
        OTEL_TRACES_EXPORTER="none",
        OTEL_METRICS_EXPORTER="none",
        HELIOGRAPH_OUTBOX=str(tmp_path / "outbox"),
    )

    assert len(ran.only["problems"]) == 1
    assert ran.only["threads"] == []


@pytest.mark.parametrize(
    ("variables", "name"),
    [({}, "datasette"), ({"OTEL_SERVICE_NAME": "shop"}, "shop"), ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a"}, "a")],
)
def test_service_name_of_the_environment_has_precedence(variables: dict[str, str], name: str) -> None:
    """The name that the caller passes is used only if the environment contains none."""
    ran = python(
        """
from heliograph.sdk.exporters import TelemetrySignal
from heliograph.sdk.setup import set_up_providers
[owned] = set_up_providers(os.environ, TelemetrySignal.TRACES, service_name="datasette")
report(name=owned.provider.resource.attributes["service.name"], ended=owned.shutdown(1000))
""",
        OTEL_TRACES_EXPORTER="none",
        **variables,
    )

    assert ran.only == {"name": name, "ended": True}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {},
            {
                "max_bytes": 2**30,
                "when_full": OutboxFullPolicy.REJECT,
                "durable": False,
                "write": OutboxWrite.AUTO,
                "strict": False,
            },
        ),
        (
            {
                "outbox_max_bytes": 2**21,
                "outbox_full": OutboxFullPolicy.DROP_OLDEST,
                "outbox_sync": OutboxSync.FULL,
                "outbox_write": OutboxWrite.PWRITE,
                "validation": "strict",
            },
            {
                "max_bytes": 2**21,
                "when_full": OutboxFullPolicy.DROP_OLDEST,
                "durable": True,
                "write": OutboxWrite.PWRITE,
                "strict": True,
            },
        ),
    ],
    ids=["defaults", "all changed"],
)
def test_settings_of_the_outbox_reach_its_processor(
    given: dict[str, Any], expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Size, policy, durability and strictness are arguments of the processor that the set-up creates."""
    created: list[tuple[object, dict[str, Any]]] = []

    class Recorder(LogRecordProcessor):
        def __init__(self, directory: object, **arguments: Any) -> None:
            created.append((directory, arguments))

        def on_emit(self, log_record: object) -> None: ...

        def shutdown(self, timeout_millis: float = 0) -> None: ...

        def force_flush(self, timeout_millis: float = 0) -> bool:
            return True

    monkeypatch.setattr("heliograph.delivery.processor.OutboxLogRecordProcessor", Recorder)
    monkeypatch.setattr("heliograph.delivery.span_processor.OutboxSpanProcessor", Recorder)
    signals = (TelemetrySignal.LOGS, TelemetrySignal.TRACES)
    for signal in signals:
        monkeypatch.setitem(global_providers._SETTERS, signal, lambda _: None)
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}

    for owned in setup.set_up_providers(environ, *signals, settings=Settings(outbox="outbox", **given)):
        owned.shutdown(1000)

    assert [directory for directory, _ in created] == [Path("outbox")] * 2
    urls = [arguments.pop("destination").url for _, arguments in created]
    assert urls == ["http://127.0.0.1:4318/v1/logs", "http://127.0.0.1:4318/v1/traces"]
    assert [arguments for _, arguments in created] == [expected] * 2


def test_nothing_is_set_up_if_opentelemetry_is_disabled() -> None:
    """Wrong variables of exporters are no error then."""
    environ = {"OTEL_SDK_DISABLED": " true", "OTEL_TRACES_EXPORTER": "no-such-exporter"}

    assert setup.set_up_providers(environ, *TelemetrySignal) == []


def test_configuration_file_is_not_read_if_every_provider_is_set() -> None:
    """Without a provider to set up, a missing file is no error."""
    assert setup.set_up_providers({"OTEL_CONFIG_FILE": "no-such-file.yaml"}) == []
