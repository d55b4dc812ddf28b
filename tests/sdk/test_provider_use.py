"""The pipeline of a provider ends with the last of its hosts. What it could not deliver is reported."""

from __future__ import annotations

import pytest

from backends import free_port
from heliograph.sdk.exporters import TelemetrySignal
from heliograph.sdk.pipelines import Pipeline
from heliograph.sdk.provider_use import ProviderUse
from heliograph.sdk.signal_providers import CountingLoggerProvider
from otlp_receiver import Receiver
from processes import otlp
from scripts import python


def numbers(receiver: Receiver) -> list[int]:
    return sorted(record.attributes["test.tick.n"] for record in receiver.logs())


def test_pipeline_ends_with_the_last_of_its_hosts(receiver: Receiver) -> None:
    """The end of the first does not lose what the second emits."""
    ran = python(
        """
        first, second = configure(plugins=[Plugin()]), configure(plugins=[Plugin()])
        first.track(Tick(n=1))
        report(ended=first.shutdown())
        second.track(Tick(n=2))
        report(ended=second.shutdown())
        """,
        **otlp(receiver.endpoint),
    )

    assert [each["ended"] for each in ran.reports] == [True, True]
    assert ran.stderr == ""
    assert numbers(receiver) == [1, 2]


MEANWHILE = """
from heliograph.sdk import setup
from opentelemetry._logs import get_logger_provider

def meanwhile(function):
    "Let another thread call a function while the next host is configured, after the providers were looked at."
    warn = setup.warn_of_unused_outbox
    def call(*arguments):
        setup.warn_of_unused_outbox = warn
        thread = threading.Thread(target=function)
        thread.start()
        thread.join()
        warn(*arguments)
    setup.warn_of_unused_outbox = call
"""


def test_host_that_is_configured_while_the_last_one_ends_has_a_pipeline(receiver: Receiver) -> None:
    """The last one does not take away the pipeline that the new host relies on."""
    ran = python(
        MEANWHILE
        + """
first = configure(plugins=[Plugin()])
first.track(Tick(n=1))
meanwhile(lambda: report(ended=first.shutdown()))
second = configure(plugins=[Plugin()])
second.track(Tick(n=2))
report(ended=second.shutdown())
report(ended=get_logger_provider().pipeline is None)
""",
        **otlp(receiver.endpoint),
    )

    assert [each["ended"] for each in ran.reports] == [True, True, True]
    assert ran.stderr == ""
    assert numbers(receiver) == [1, 2]


def test_host_that_cannot_be_set_up_uses_no_pipeline(receiver: Receiver) -> None:
    """The pipeline ends with the other host: after the failure, or in the middle of it."""
    ran = python(
        MEANWHILE
        + """
def fail(*_):
    raise RuntimeError("no outbox")

def try_to_configure():
    try:
        configure(plugins=[Plugin()])
    except RuntimeError as error:
        report(error=str(error))

warn, setup.warn_of_unused_outbox = setup.warn_of_unused_outbox, fail
try_to_configure()
setup.warn_of_unused_outbox = warn

first = configure(plugins=[Plugin()])
setup.warn_of_unused_outbox = fail
try_to_configure()
report(has_pipeline=get_logger_provider().pipeline is not None)
meanwhile(first.shutdown)
try_to_configure()
report(has_pipeline=get_logger_provider().pipeline is not None)
setup.warn_of_unused_outbox = warn

with configure(plugins=[Plugin()]) as last:
    last.track(Tick(n=1))
report(has_pipeline=get_logger_provider().pipeline is not None)
""",
        **otlp(receiver.endpoint),
    )

    failed = {"error": "no outbox"}
    assert ran.reports == [failed, failed, {"has_pipeline": True}, failed, *[{"has_pipeline": False}] * 2]
    assert ran.stderr == ""
    assert numbers(receiver) == [1]


def test_hosts_that_are_configured_at_once_share_one_pipeline(receiver: Receiver) -> None:
    """The providers of a process are set up by one thread at a time."""
    ran = python(
        """
from heliograph.sdk import setup

create_resource, running = setup.create_resource, []

def create_slowly(service_name):
    running.append(None)
    time.sleep(0.1)
    report(running=len(running))
    running.pop()
    return create_resource(service_name)

setup.create_resource = create_slowly
barrier = threading.Barrier(4)

def work(number):
    barrier.wait()
    with configure(plugins=[Plugin()]) as host:
        host.track(Tick(n=number))

threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
""",
        **otlp(receiver.endpoint),
    )

    assert {each["running"] for each in ran.reports} == {1}
    assert ran.stderr == ""
    assert numbers(receiver) == [0, 1, 2, 3]


def test_use_ends_once() -> None:
    """Two threads may shut a host down at once. Another host keeps the pipeline."""
    provider = CountingLoggerProvider(shutdown_on_exit=False)
    provider.open(Pipeline(parts=(), exporters=()))
    first, second = (ProviderUse(TelemetrySignal.LOGS, provider) for _ in range(2))

    assert first.shutdown(60_000)
    assert first.shutdown(60_000)
    assert provider.pipeline is not None
    assert second.shutdown(60_000)
    assert provider.pipeline is None


def test_script_says_how_much_was_not_delivered_and_to_which_endpoint() -> None:
    """The number and the endpoint are in one line for each signal. User name and password of the endpoint are not shown."""
    endpoint = f"http://user:s3cret@127.0.0.1:{free_port()}"
    ran = python(
        """
        from opentelemetry import trace
        host = configure(Settings(flush_timeout_millis=2000), plugins=[Plugin()])
        with trace.get_tracer("tests").start_as_current_span("span"):
            for n in range(3):
                host.track(Tick(n=n))
        """,
        **otlp(endpoint, OTEL_METRICS_EXPORTER="none"),
    )

    shown = endpoint.replace("user:s3cret@", "")
    assert f"Not delivered to {shown}/v1/logs: 3 log records." in ran.stderr
    assert f"Not delivered to {shown}/v1/traces: 1 span." in ran.stderr


def test_metrics_that_were_not_delivered_are_reported() -> None:
    """Metrics are snapshots, so the report has no number."""
    endpoint = f"http://127.0.0.1:{free_port()}"
    ran = python(
        """
        configure(Settings(flush_timeout_millis=3000), plugins=[Plugin()]).track(Tick(n=1))
        """,
        **otlp(endpoint, OTEL_LOGS_EXPORTER="none", OTEL_TRACES_EXPORTER="none", OTEL_EXPORTER_OTLP_TIMEOUT="1"),
    )

    assert f"Not all metrics were delivered to {endpoint}/v1/metrics." in ran.stderr


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_exporters_that_were_stopped_are_not_used_again(protocol: str) -> None:
    """If the time of the flush is over, each exporter is stopped first. The SDK would log a warning for each later use."""
    ran = python(
        """
        with configure(Settings(flush_timeout_millis=100), plugins=[Plugin()]) as host:
            host.track(Tick(n=1))
        """,
        **otlp(f"http://127.0.0.1:{free_port()}", OTEL_EXPORTER_OTLP_PROTOCOL=protocol),
    )

    assert "Not delivered to" in ran.stderr
    assert "already shutdown" not in ran.stderr
