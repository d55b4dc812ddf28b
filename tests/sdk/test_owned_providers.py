"""A provider that was created here ends with the last of its hosts. What it could not deliver is reported."""

from __future__ import annotations

import pytest

from backends import free_port
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
