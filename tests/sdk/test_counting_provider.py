"""The pipeline of a provider ends with its host, and another one takes its place. What is emitted in between is reported."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from heliograph.sdk.counting_provider import CountingProvider
from heliograph.sdk.pipelines import Pipeline
from heliograph.sdk.signal_providers import CountingLoggerProvider, CountingMeterProvider, CountingTracerProvider
from otlp_receiver import Receiver
from processes import otlp
from scripts import python

PROVIDERS = (CountingTracerProvider, CountingLoggerProvider, CountingMeterProvider)
LATE = "was emitted after heliograph was shut down, and is lost"


@pytest.mark.parametrize("provider_class", PROVIDERS)
def test_provider_without_a_pipeline_has_nothing_to_deliver(provider_class: type[CountingProvider]) -> None:
    """The end of such a provider can be asked for again."""
    provider = provider_class(shutdown_on_exit=False)

    assert provider.end()
    assert provider.force_flush()


class Part:
    """A processor that notes its end, which fails if the test says so."""

    def __init__(self, error: BaseException | None = None) -> None:
        self._error = error
        self.ends = 0

    def shutdown(self) -> None:
        self.ends += 1
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize("provider_class", [CountingTracerProvider, CountingLoggerProvider])
@pytest.mark.parametrize("error", [OSError("broken"), asyncio.CancelledError()], ids=repr)
def test_part_that_fails_at_its_end_does_not_keep_the_others_from_ending(
    provider_class: type[CountingProvider], error: BaseException, warnings: pytest.LogCaptureFixture
) -> None:
    """The outbox is the last part. The failure is logged, and the end is no success."""
    provider = provider_class(shutdown_on_exit=False)
    parts, former = (Part(error), Part()), (Part(error), Part())
    provider.open(Pipeline(parts=parts, exporters=(), former=Pipeline(parts=former, exporters=())))

    assert provider.end() is False

    assert [part.ends for part in (*parts, *former)] == [1, 1, 1, 1]
    assert warnings.messages == ["A part of the pipeline failed to shut down."] * 2
    assert provider.end()


def test_interrupt_ends_the_end() -> None:
    """It is no failure of a part."""
    provider = CountingTracerProvider(shutdown_on_exit=False)
    provider.open(Pipeline(parts=(Part(KeyboardInterrupt()),), exporters=()))

    with pytest.raises(KeyboardInterrupt):
        provider.end()


def numbers(receiver: Receiver) -> list[int]:
    return sorted(record.attributes["test.tick.n"] for record in receiver.logs())


@pytest.mark.parametrize("outbox", [False, True])
@pytest.mark.parametrize("again", ["with host:", "with configure(plugins=[Plugin()]) as host:"])
def test_host_works_again_after_its_end(receiver: Receiver, tmp_path: Path, again: str, outbox: bool) -> None:
    """The same host is entered again, or another one is configured: logs, spans and metrics arrive as from the first."""
    variables = {"HELIOGRAPH_OUTBOX": str(tmp_path / "outbox")} if outbox else {}
    ran = python(
        f"""
        from opentelemetry import trace
        host = configure(plugins=[Plugin()])
        host.shutdown()
        ended = []
        for n in (1, 2, 3):
            {again}
                with trace.get_tracer("tests").start_as_current_span(f"span {{n}}"):
                    host.track(Tick(n=n))
                ended.append(host.flush())
            ended.append(host.flush())
        report(ended=ended, threads=threading.active_count())
        """,
        **otlp(receiver.endpoint, **variables),
    )

    assert ran.only == {"ended": [True] * 6, "threads": 1}
    assert ran.stderr == ""
    assert numbers(receiver) == [1, 2, 3]
    assert {f"span {n}" for n in (1, 2, 3)} <= {span.name for span in receiver.spans()}
    assert "heliograph.events" in {metric.name for metric in receiver.metrics()}


@pytest.mark.parametrize("outbox", [False, True])
def test_what_is_emitted_after_the_end_is_reported_once(receiver: Receiver, tmp_path: Path, outbox: bool) -> None:
    """One line says it, one flush is False, and a host that is entered again works."""
    variables = {"HELIOGRAPH_OUTBOX": str(tmp_path / "outbox")} if outbox else {}
    ran = python(
        """
        host = configure(plugins=[Plugin()])
        host.track(Tick(n=0))
        ended = host.shutdown()
        for n in (1, 2, 3):
            host.track(Tick(n=n))
        report(ended=ended, flushed=[host.flush(), host.flush()])
        with host:
            host.track(Tick(n=4))
            report(flushed=host.flush())
        """,
        **otlp(receiver.endpoint, OTEL_TRACES_EXPORTER="none", OTEL_METRICS_EXPORTER="none", **variables),
    )

    assert ran.reports == [{"ended": True, "flushed": [False, True]}, {"flushed": True}]
    assert ran.stderr.count(LATE) == 1
    assert len(ran.stderr.splitlines()) == 1
    assert numbers(receiver) == [0, 4]


def test_spans_that_end_after_the_end_are_reported(receiver: Receiver) -> None:
    """A flush returns False after a late span, and a line of the log says so."""
    ran = python(
        """
        from opentelemetry import trace
        host = configure(plugins=[Plugin()])
        tracer = trace.get_tracer("tests")
        span = tracer.start_span("late")
        host.shutdown()
        report(flushed=host.flush())
        span.end()
        report(flushed=host.flush())
        """,
        **otlp(receiver.endpoint),
    )

    assert [each["flushed"] for each in ran.reports] == [True, False]
    assert f"Telemetry (spans) {LATE}" in ran.stderr


def test_event_of_a_late_exit_handler_is_reported(receiver: Receiver) -> None:
    """A handler that was registered before the host runs after its shutdown."""
    ran = python(
        """
        import atexit
        atexit.register(lambda: host.track(Tick(n=1)))
        host = configure(plugins=[Plugin()])
        host.track(Tick(n=0))
        """,
        **otlp(receiver.endpoint, OTEL_TRACES_EXPORTER="none", OTEL_METRICS_EXPORTER="none"),
    )

    assert numbers(receiver) == [0]
    assert ran.stderr.count(LATE) == 1


def test_program_may_shut_the_providers_down_itself(receiver: Receiver) -> None:
    """All that they hold is delivered, and the host's own shutdown has nothing left to do."""
    ran = python(
        """
        from opentelemetry import metrics, trace
        from opentelemetry._logs import get_logger_provider
        host = configure(plugins=[Plugin()])
        host.track(Tick(n=1))
        for provider in (get_logger_provider(), trace.get_tracer_provider(), metrics.get_meter_provider()):
            provider.shutdown()
        report(ended=host.shutdown())
        """,
        **otlp(receiver.endpoint),
    )

    assert ran.only == {"ended": True}
    assert numbers(receiver) == [1]
    assert "heliograph.events" in {metric.name for metric in receiver.metrics()}


@pytest.mark.parametrize("provider_class", PROVIDERS)
def test_last_user_is_known(provider_class: type[CountingProvider]) -> None:
    """The pipeline ends with the last host, in whatever order they end."""
    provider = provider_class(shutdown_on_exit=False)
    for _ in range(3):
        provider.add_user()

    assert [provider.remove_user() for _ in range(3)] == [False, False, True]
