"""The processors of the program come before the pipeline. What is emitted while there is no pipeline is counted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.trace import SpanProcessor, sampling
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from delivery.recording_outbox import RecordingOutbox, direct
from heliograph.delivery.encoding.span_events import takes_encoded_events
from heliograph.sdk.counting_provider import CountingProvider
from heliograph.sdk.export_counts import CountingBatchSpanProcessor, counting_exporter
from heliograph.sdk.pipelines import Pipeline
from heliograph.sdk.signal_providers import CountingTracerProvider
from otlp_receiver import Receiver
from processes import otlp
from scripts import python


def test_processor_that_is_added_changes_spans_before_the_outbox(receiver: Receiver, tmp_path: Path) -> None:
    """Processors that hide personal data may be added after `configure`, and change spans that have ended."""
    ran = python(
        """
        from opentelemetry import trace
        from opentelemetry.sdk.trace import SpanProcessor
        class Scrubber(SpanProcessor):
            def on_start(self, span, parent_context=None):
                span.set_attribute("started", True)
            def on_end(self, span):
                span._attributes = {**span._attributes, "user.email": "***"}
            def shutdown(self):
                report(shut_down=True)
        host = configure(plugins=[Plugin()])
        provider = trace.get_tracer_provider()
        provider.add_span_processor(Scrubber())
        with trace.get_tracer("tests").start_as_current_span("work", attributes={"user.email": "root@example.com"}):
            pass
        report(flushed=provider.force_flush(60_000))
        provider.shutdown()
        """,
        **otlp(receiver.endpoint, HELIOGRAPH_OUTBOX=str(tmp_path / "outbox")),
    )

    assert ran.reports == [{"flushed": True}, {"shut_down": True}]
    [span] = receiver.spans()
    assert span.attributes == {"user.email": "***", "started": True}


class RecordOnly(sampling.Sampler):
    """Records each span, so that processors get it, and samples none."""

    def should_sample(self, *args: Any, **kwargs: Any) -> sampling.SamplingResult:
        return sampling.SamplingResult(sampling.Decision.RECORD_ONLY)

    def get_description(self) -> str:
        return "RecordOnly"


@pytest.mark.parametrize("sampler", [sampling.ALWAYS_OFF, RecordOnly()], ids=["always_off", "record_only"])
def test_span_that_is_not_sampled_is_not_missed(sampler: sampling.Sampler) -> None:
    """A span that is not sampled is never exported, so it is not counted as accepted."""
    exporter = counting_exporter(InMemorySpanExporter)()
    provider = CountingTracerProvider(shutdown_on_exit=False, sampler=sampler)
    provider.open(Pipeline(parts=(CountingBatchSpanProcessor(exporter, exporter.counts),), exporters=()))
    try:
        provider.get_tracer("tests").start_span("one").end()
        assert provider.force_flush()
        assert exporter.counts.start_flush().accepted == 0
    finally:
        provider.shutdown()


def test_late_span_that_is_not_sampled_is_not_missed() -> None:
    """Such a span would not have been exported before the end, either."""
    provider = CountingTracerProvider(sampler=RecordOnly(), shutdown_on_exit=False)

    provider.get_tracer("tests").start_span("late").end()

    assert provider.force_flush()


class Editing(LogRecordProcessor):
    """Changes the body of each record."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        log_record.log_record.body = "changed"

    def shutdown(self) -> None:
        self.calls.append("shutdown")

    def force_flush(self, timeout_millis: int = 0) -> bool:
        self.calls.append("flush")
        return False


def test_processors_that_are_added_come_before_the_outbox() -> None:
    """A logger that exists already notices them. The provider flushes them and shuts them down."""
    provider, outbox = direct()
    logger = provider.get_logger("tests")
    logger.emit(body="first")
    editing = Editing()
    provider.add_log_record_processor(editing)
    logger.emit(body="second")
    assert [each.body.string_value for each in outbox.decoded()] == ["first", "changed"]
    assert not provider.force_flush()
    provider.shutdown()
    assert editing.calls == ["flush", "shutdown"]


def test_pipeline_with_another_processor_gets_objects() -> None:
    provider, outbox = direct()
    other = RecordingOutbox()
    provider.open(Pipeline(parts=(other, outbox), exporters=(), has_outbox=True))
    provider.get_logger("tests").emit(body="b")
    assert (outbox.objects, other.objects) == (1, 1)


def test_pipeline_without_an_outbox_gets_objects() -> None:
    provider, outbox = direct()
    provider.open(Pipeline(parts=(outbox,), exporters=()))
    provider.get_logger("tests").emit(body="b")
    assert outbox.objects == 1


def test_record_without_a_pipeline_is_counted_as_late() -> None:
    """The next flush returns False."""
    provider, outbox = direct()
    logger = provider.get_logger("tests")
    provider.end()
    logger.emit(body="late")
    assert outbox.messages == []
    assert not provider.force_flush()


def run_meanwhile(
    monkeypatch: pytest.MonkeyPatch, provider: CountingProvider, function: Callable[[], object]
) -> threading.Thread:
    """Let another thread come in between, once, when the processors have asked for the provider's outbox, and have noted nothing yet.

    It calls the function. The provider's thread goes on when this has returned, or waits for the lock.
    """
    find, lock, is_through = CountingProvider.only_outbox.__get__, provider.lock, threading.Event()

    def run() -> None:
        function()
        is_through.set()

    thread = threading.Thread(target=run)

    class WatchedLock:
        def __enter__(self) -> None:
            if threading.current_thread() is thread:
                is_through.set()
            lock.acquire()

        def __exit__(self, *_: object) -> None:
            lock.release()

    def only_outbox(self: CountingProvider) -> Any:
        found = find(self)
        if thread.ident is None:
            thread.start()
            assert is_through.wait(60)
        return found

    monkeypatch.setattr(CountingProvider, "only_outbox", property(only_outbox))
    provider.lock = WatchedLock()  # type: ignore[assignment]
    return thread


def test_log_processor_that_is_added_while_a_pipeline_is_opened_gets_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor may hide personal data, so no record may go past it."""
    provider, outbox = direct()
    provider.end()
    thread = run_meanwhile(monkeypatch, provider, lambda: provider.add_log_record_processor(Editing()))

    provider.open(Pipeline(parts=(outbox,), exporters=(), has_outbox=True))
    thread.join()
    provider.get_logger("tests").emit(body="b")

    assert [each.body.string_value for each in outbox.decoded()] == ["changed"]


def test_record_is_late_if_its_pipeline_has_ended_while_it_was_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """A late record does not go to the outbox, which nobody empties any more."""
    provider, outbox = direct()
    thread = run_meanwhile(monkeypatch, provider, provider.end)

    provider.open(Pipeline(parts=(outbox,), exporters=(), has_outbox=True))
    thread.join()
    provider.get_logger("tests").emit(body="late")

    assert outbox.messages == []
    assert not provider.force_flush()


@pytest.mark.parametrize(
    ("change", "is_alone"),
    [
        (lambda provider: None, True),
        (lambda provider: provider.add_span_processor(SpanProcessor()), False),
        (lambda provider: provider.end(), False),
    ],
    ids=["nothing", "add", "end"],
)
def test_spans_take_encoded_events_only_if_the_outbox_is_alone_after_all(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[CountingTracerProvider], object], is_alone: bool
) -> None:
    """Another thread may add a processor, or end the pipeline, while it is opened."""
    provider = CountingTracerProvider(shutdown_on_exit=False)
    thread = run_meanwhile(monkeypatch, provider, lambda: change(provider))

    provider.open(Pipeline(parts=(SpanProcessor(),), exporters=(), has_outbox=True))
    thread.join()

    assert takes_encoded_events(provider.get_tracer("tests").start_span("one")) is is_alone


class Failing(SpanProcessor):
    """A processor of the program that fails at its end."""

    def shutdown(self) -> None:
        raise OSError("broken")

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        raise OSError("broken")


class Counting(SpanProcessor):
    """A part of the pipeline that counts its flushes and ends."""

    def __init__(self) -> None:
        self.flushes = self.ends = 0

    def shutdown(self) -> None:
        self.ends += 1

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        self.flushes += 1
        return True


def test_processor_of_the_program_that_fails_does_not_keep_the_outbox_from_delivering() -> None:
    """The program gets the exception, and the pipeline is flushed, and ends."""
    provider, part = CountingTracerProvider(shutdown_on_exit=False), Counting()
    provider.open(Pipeline(parts=(part,), exporters=()))
    provider.add_span_processor(Failing())

    with pytest.raises(OSError, match="broken"):
        provider.force_flush()
    with pytest.raises(OSError, match="broken"):
        provider.shutdown()

    assert (part.flushes, part.ends) == (1, 1)
