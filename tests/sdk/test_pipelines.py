"""Everything between a provider and the places that its telemetry goes to: built from a selection of exporters, and ended at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from typing import Any, cast

import pytest
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, InMemoryMetricReader

from heliograph.delivery.processor import OutboxProcessor
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.sdk.export_counts import CountingBatchLogRecordProcessor, CountingBatchSpanProcessor, ExportCounts
from heliograph.sdk.exporters import Selection, TelemetrySignal, select
from heliograph.sdk.pipelines import ExporterHandle, PeriodicReader, Pipeline, build_pipeline
from heliograph.semconv import SCOPE
from threads import LIMIT_SECONDS


class Outbox:
    """Notes the time that each shutdown gets."""

    def __init__(self) -> None:
        self.ended: list[float] = []

    def shutdown(self, timeout_millis: float = 30_000) -> None:
        self.ended.append(timeout_millis)


@pytest.fixture
def build() -> Iterator[Callable[..., Pipeline]]:
    """Build pipelines from names of exporters. Their threads end with the test."""
    built: list[Pipeline] = []

    def build(signal: TelemetrySignal, names: str, **arguments: Any) -> Pipeline:
        built.append(build_pipeline(signal, select(signal, {signal.exporter_variable: names}), **arguments))
        return built[-1]

    yield build
    for each in built:
        each.discard()


def kinds(parts: object) -> list[type]:
    return [type(each) for each in cast("tuple[object, ...]", parts)]


@pytest.mark.parametrize(
    ("signal", "part"),
    [
        (TelemetrySignal.TRACES, CountingBatchSpanProcessor),
        (TelemetrySignal.LOGS, CountingBatchLogRecordProcessor),
        (TelemetrySignal.METRICS, PeriodicReader),
    ],
)
def test_each_exporter_has_a_part(build: Callable[..., Pipeline], signal: TelemetrySignal, part: type) -> None:
    """The destination is the URL, or the exporter's name."""
    pipeline = build(signal, "console,otlp")
    assert kinds(pipeline.parts) == [part, part]
    assert (pipeline.kept, pipeline.stops, pipeline.has_outbox, pipeline.former) == ((), (), False, None)
    named, url = (each.destination for each in pipeline.exporters)
    assert named.startswith("Console")
    assert url == f"http://localhost:4318/v1/{signal.value}"


@pytest.mark.parametrize("signal", list(TelemetrySignal))
def test_nothing_is_selected(build: Callable[..., Pipeline], signal: TelemetrySignal) -> None:
    pipeline = build(signal, "none")
    assert (pipeline.parts, pipeline.exporters, pipeline.kept) == ((), (), ())


def test_destination_has_no_credentials(build: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:canary@localhost:4318/otlp?key=canary")
    [export] = build(TelemetrySignal.TRACES, "otlp").exporters
    assert "localhost:4318" in export.destination
    assert "canary" not in export.destination


@pytest.mark.parametrize("signal", [TelemetrySignal.TRACES, TelemetrySignal.LOGS])
@pytest.mark.parametrize(
    ("names", "others"), [("otlp", 0), ("console,otlp_proto_grpc,otlp_proto_http", 1), ("none", 0)]
)
def test_outbox_is_in_the_place_of_otlp(
    build: Callable[..., Pipeline], signal: TelemetrySignal, names: str, others: int
) -> None:
    """Other exporters stay, and are before the outbox."""
    outbox = Outbox()
    pipeline = build(signal, names, outbox=cast("OutboxProcessor", outbox))
    assert pipeline.parts[-1] is outbox
    assert (len(pipeline.parts), len(pipeline.exporters), pipeline.has_outbox) == (others + 1, others, True)
    pipeline.stop()
    assert outbox.ended == [0]


def test_reader_that_only_answers_is_kept() -> None:
    """The next pipeline has the same one, which may hold a port. One of another kind is created."""
    group = TelemetrySignal.METRICS.entry_point_group
    pulled = EntryPoint("pulled", f"{InMemoryMetricReader.__module__}:InMemoryMetricReader", group)
    selection = Selection(exporters=(pulled,), problems=())
    first = build_pipeline(TelemetrySignal.METRICS, selection)
    assert kinds(first.kept) == [InMemoryMetricReader]
    assert (first.parts, first.exporters) == ((), ())
    assert build_pipeline(TelemetrySignal.METRICS, selection, kept=[object(), *first.kept]).kept == first.kept
    assert build_pipeline(TelemetrySignal.METRICS, selection, kept=[object()]).kept != first.kept


def test_former_pipelines_are_part_of_it() -> None:
    """The parts of former pipelines come after its own, the newest first."""

    def pipeline(name: str, former: Pipeline | None = None) -> Pipeline:
        export = ExporterHandle(counts=ExportCounts(), destination=name, stop=lambda: stopped.append(name))
        return Pipeline(parts=(name,), exporters=(export,), former=former)

    stopped: list[str] = []
    newest = pipeline("c", pipeline("b", pipeline("a")))
    assert newest.all_parts == ("c", "b", "a")
    assert [each.destination for each in newest.all_exporters] == ["c", "b", "a"]
    newest.stop()
    assert stopped == ["c", "b", "a"]


def test_flush_reaches_every_part(monkeypatch: pytest.MonkeyPatch, warnings: pytest.LogCaptureFixture) -> None:
    """Parts after one that failed or raised are flushed, and those of the former pipeline. A part that returns None has not failed.

    All have one time limit, and each is told what is left of it.
    """

    class Used:
        """A time limit that the first part uses up."""

        def __init__(self, timeout_millis: float) -> None:
            self.left = timeout_millis

        def remaining(self) -> float:
            left, self.left = self.left, 0.0
            return left

    class Part:
        def __init__(self, result: bool | None, error: BaseException | None = None) -> None:
            self.result, self.error = result, error
            self.limits: list[float] = []

        def force_flush(self, timeout_millis: float) -> bool | None:
            self.limits.append(timeout_millis)
            if self.error is not None:
                raise self.error
            return self.result

    monkeypatch.setattr("heliograph.sdk.pipelines._failures", LimitedLog(SafeLogger(SCOPE)))
    monkeypatch.setattr("heliograph.sdk.pipelines.Deadline", Used)
    parts = [Part(False), Part(True), Part(None)]
    assert not Pipeline(parts=(*parts[:2],), exporters=(), former=Pipeline(parts=(parts[2],), exporters=())).flush(7)
    assert [part.limits for part in parts] == [[7], [0], [0]]
    assert Pipeline(parts=(*parts[1:],), exporters=()).flush(7)
    assert warnings.messages == []

    failing = [Part(None, OSError("broken")), Part(None, asyncio.CancelledError()), Part(True)]
    assert not Pipeline(parts=(*failing,), exporters=()).flush(7)
    assert [part.limits for part in failing] == [[7], [0], [0]]
    assert warnings.messages == ["A part of the pipeline failed to flush."] * 2


def test_end_does_not_wait_for_a_part_that_hangs() -> None:
    """The others end. So they do if one fails."""
    hangs, ended = threading.Event(), []

    class Part:
        def shutdown(self) -> None:
            ended.append("part")

    def fail() -> None:
        raise LookupError

    pipeline = Pipeline(
        parts=(Part(),),
        exporters=(ExporterHandle(counts=ExportCounts(), destination="x", stop=lambda: hangs.wait(LIMIT_SECONDS)),),
        kept=(Part(),),
        stops=(fail, lambda: ended.append("stop")),
    )
    pipeline.discard()
    hangs.set()
    assert ended == ["stop", "part", "part"]


def test_second_shutdown_of_a_reader_does_nothing() -> None:
    """The first one exports; the SDK shuts each reader down once more."""
    exported = []

    class Exporter(ConsoleMetricExporter):
        def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
            exported.append(timeout_millis)

    reader = PeriodicReader(Exporter())
    reader._set_collect_callback(lambda *_, **__: None)
    reader.shutdown(1_000)
    reader.shutdown(1_000)
    assert len(exported) == 1
