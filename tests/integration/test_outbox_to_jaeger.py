"""Spans go through an outbox and a Collector with a queue on disk to a Jaeger with Badger, and both are killed on the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opentelemetry.context import Context

from backends import Collector, Jaeger, wait_until
from delivery.outboxes import folders_in
from delivery.spans import tracing_to

TRACES, SPANS, EVENTS = 20, 100, 5
CONFIG = """
exporters:
  jaeger_storage_exporter:
    trace_storage: badger
extensions:
  jaeger_storage:
    backends:
      badger:
        badger:
          directories:
            keys: {directory}/keys
            values: {directory}/values
          ephemeral: false
          consistency: true
  jaeger_query:
    storage:
      traces: badger
"""


@contextmanager
def jaeger_with_badger(directory: Path) -> Iterator[Jaeger]:
    """Run a Jaeger that keeps traces on disk, and syncs each write."""
    config = directory / "badger.yaml"
    config.write_text(CONFIG.format(directory=directory))
    jaeger = Jaeger(directory)
    jaeger.arguments = ("--config", config)
    with jaeger:
        yield jaeger


def test_every_span_event_arrives_although_collector_and_jaeger_are_killed(tmp_path: Path) -> None:
    """There are 10,000 events in 2,000 spans.

    Jaeger's storage is Badger, because its memory would not survive the kill.
    """
    for name in ("jaeger", "collector"):
        (tmp_path / name).mkdir()
    made: dict[str, set[tuple[str, int]]] = {}
    with (
        jaeger_with_badger(tmp_path / "jaeger") as jaeger,
        Collector(tmp_path / "collector", jaeger) as collector,
        tracing_to(tmp_path / "box", f"{collector.otlp_http_endpoint}/v1/traces") as trace,
    ):
        for number in range(TRACES):
            with trace.tracer.start_as_current_span("root", context=Context()) as root:
                expected = made.setdefault(f"{root.get_span_context().trace_id:032x}", set())
                for _ in range(SPANS):
                    with trace.tracer.start_as_current_span("work") as span:
                        for each in range(EVENTS):
                            span.add_event("app.event", {"n": each})
                            expected.add((f"{span.get_span_context().span_id:016x}", each))
            match number:
                case 5:
                    collector.kill()
                case 8:
                    collector.start()
                case 10:
                    assert trace.processor.force_flush(60_000)
                    jaeger.kill()
                case 13:
                    collector.kill()
                case 16:
                    jaeger.start()
                    collector.start()
        assert trace.processor.force_flush(60_000)

        def missing() -> int:
            return sum(len(expected - arrived(jaeger, trace_id)) for trace_id, expected in made.items())

        wait_until(lambda: not missing(), timeout_seconds=120, interval_seconds=1)
    assert sum(map(len, made.values())) == TRACES * SPANS * EVENTS == 10_000
    assert folders_in(tmp_path / "box") == []


def arrived(jaeger: Jaeger, trace_id: str) -> set[tuple[str, int]]:
    """Return the ids of the spans in Jaeger, each with the numbers of its events."""
    return {(span.span_id, int(str(event.attributes["n"]))) for span in jaeger.trace(trace_id) for event in span.events}
