"""The processor of spans: each sampled span that has ended is delivered, whatever fails, or becomes a dead letter."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanContext, TraceFlags

from delivery.ended_spans import ended, message_of_the_sdk
from delivery.outboxes import drain, folders_in, logging_to, make_orphan, run_outbox, wait_for
from delivery.servers import OK, serving, spans_of
from delivery.spans import make_orphan_of_spans, span_id, tracing_to
from heliograph.delivery.journal.segment import segments
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.processor import OutboxProcessor
from heliograph.delivery.signals import LOGS, TRACES, signal_of_folder
from heliograph.errors import OutboxFull
from heliograph.semconv import OUTBOX_ACCEPTED, OUTBOX_DEAD, OUTBOX_DELIVERED, OUTBOX_REJECTED, OUTBOX_RETRIED

FOLDERS_OF_THE_FIRST_RELEASE = (r"\d+-[0-9a-f]{8}", r"\.\d+-[0-9a-f]{8}")
"""The names of the folders that the first release adopts, or deletes as half-created. They must not change."""


def test_spans_arrive_under_their_resource_and_scope(tmp_path: Path) -> None:
    """All spans arrive in order, and nothing remains on the disk."""
    with serving() as server:
        with tracing_to(tmp_path, server.traces_endpoint) as trace:
            made = [trace(f"span {number}") for number in range(500)]
            assert trace.processor.force_flush(60_000)
            counts = trace.processor.counts
            assert counts.total(OUTBOX_ACCEPTED) == counts.total(OUTBOX_DELIVERED) == 500
        assert folders_in(tmp_path) == []

    assert server.accepted == made
    assert set(server.resources) == {"tests"}


def test_span_has_the_content_that_the_sdk_exports(tmp_path: Path) -> None:
    span = ended(lambda span: span.add_event("app.event", {"n": 1}), attributes={"key": "value"})
    with serving() as server, tracing_to(tmp_path, server.traces_endpoint) as trace:
        trace.processor.on_end(span)
        assert trace.processor.force_flush(60_000)

    [found] = spans_of(ExportTraceServiceRequest.FromString(server.raw[0]))
    assert found == message_of_the_sdk(span)


def test_span_that_is_not_sampled_is_not_stored(tmp_path: Path) -> None:
    with serving() as server, tracing_to(tmp_path, server.traces_endpoint, sampler=ALWAYS_OFF) as trace:
        trace("span")
        # The SDK's tracer ends no such span at the processor. A sampler that says RECORD_ONLY lets it.
        context = SpanContext(1, 1, is_remote=False, trace_flags=TraceFlags(0))
        trace.processor.on_end(ReadableSpan("recorded only", context))
        trace.processor.on_end(ReadableSpan("without a context"))
        assert trace.processor.force_flush(60_000)
        assert trace.processor.counts.total(OUTBOX_ACCEPTED) == 0


@pytest.mark.parametrize("error", [OutboxFull(Path("x"), 1), RuntimeError("boom")])
def test_end_never_raises(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """`end` is called at the end of each `with`: not even a strict outbox may raise there."""

    def fail(*_: object) -> None:
        raise error

    with serving() as server, tracing_to(tmp_path, server.traces_endpoint, strict=True) as trace:
        monkeypatch.setattr(trace.processor._storages, "find", fail)
        trace("span")
    assert trace.processor.counts.total(OUTBOX_REJECTED) == isinstance(error, OutboxFull)
    assert caplog.messages


def test_full_outbox_rejects_spans_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serving() as server, tracing_to(tmp_path, server.traces_endpoint, strict=True, max_bytes=1) as trace:
        trace("span")
        assert trace.processor.counts.by_reason(OUTBOX_REJECTED) == {"outbox_full": 1}
    assert "Spans are not accepted" in caplog.text


def test_both_signals_share_a_directory(tmp_path: Path) -> None:
    """Each has a folder of its own, and each process sends to the endpoint of the signal."""
    with (
        serving() as server,
        logging_to(tmp_path, server.endpoint) as emit,
        tracing_to(tmp_path, server.traces_endpoint) as trace,
    ):
        emit("record")
        made = trace("span")
        assert sorted(signal_of_folder(folder).name for folder in folders_in(tmp_path)) == ["logs", "traces"]
        assert emit.processor.force_flush(60_000)
        assert trace.processor.force_flush(60_000)
        assert sorted(server.requests) == sorted([["record"], [made]])


@pytest.mark.parametrize("failing", ["logs", "traces"])
def test_destination_that_fails_does_not_hold_up_the_other(tmp_path: Path, failing: str) -> None:
    """The other signal has a backoff, batches and a thread of its own."""
    with (
        serving(lambda number, records: (503, {"Retry-After": "3600"}, b"")) as broken,
        serving() as working,
        logging_to(tmp_path, (broken if failing == "logs" else working).endpoint) as emit,
        tracing_to(tmp_path, (broken if failing == "traces" else working).traces_endpoint) as trace,
    ):
        emit("record")
        made = trace("span")
        wait_for(lambda: broken.requests)
        flush_of_the_other = emit.processor.force_flush if failing == "traces" else trace.processor.force_flush
        assert flush_of_the_other(60_000)
        assert working.accepted == [made if failing == "logs" else "record"]
        assert broken.accepted == []


def test_process_adopts_the_orphans_of_its_signal_alone(tmp_path: Path) -> None:
    """A process without a destination for spans must not touch them."""
    span = ended()
    of_spans = make_orphan_of_spans(tmp_path, span)
    make_orphan(tmp_path, "record")
    with serving() as server, logging_to(tmp_path, server.endpoint):
        wait_for(lambda: folders_in(tmp_path) == [of_spans])
    with tracing_to(tmp_path, server.traces_endpoint) as trace:
        assert trace.processor is not None
    with serving() as server, tracing_to(tmp_path, server.traces_endpoint):
        wait_for(lambda: not folders_in(tmp_path))
    assert server.accepted == [span_id(span)]


def test_first_release_passes_over_folders_of_spans(tmp_path: Path) -> None:
    """The first release would send the folders that it adopts as log records, and delete those that look half-created."""
    made = make_orphan_of_spans(tmp_path, ended())
    lock = OutboxDirectory(tmp_path, max_bytes=10**9).create_folder(TRACES)
    for name in (made.name, lock.folder.name, f".{made.name}"):
        assert not any(re.fullmatch(pattern, name) for pattern in FOLDERS_OF_THE_FIRST_RELEASE)
    of_logs = OutboxDirectory(tmp_path, max_bytes=10**9).create_folder(LOGS)
    assert re.fullmatch(FOLDERS_OF_THE_FIRST_RELEASE[0], of_logs.folder.name)
    for each in (lock, of_logs):
        each.delete_folder()


def test_folder_of_another_signal_is_not_sent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A folder that somebody renames stays as it is: its records would be nonsense for the other endpoint."""
    folder = make_orphan(tmp_path, "record")
    renamed = folder.rename(folder.with_name(f"{folder.name}.traces"))
    with serving() as server, tracing_to(tmp_path, server.traces_endpoint):
        wait_for(lambda: "cannot be read" in caplog.text)
        assert server.requests == []
    assert "the segment has records, but its folder is one of spans" in caplog.text
    assert len(segments(renamed)) == 1


def test_damaged_header_does_not_change_the_signal(tmp_path: Path) -> None:
    """The folder's name says what it holds, so spans whose headers are damaged are still sent as spans."""
    span = ended()
    [(_, path)] = segments(make_orphan_of_spans(tmp_path, span))
    path.write_bytes(path.read_bytes().replace(b"HELIOJNL", b"HELIOxxx"))
    with serving() as server, tracing_to(tmp_path, server.traces_endpoint):
        wait_for(lambda: server.accepted)
    assert server.accepted == [span_id(span)]


def test_span_that_is_refused_becomes_a_dead_letter_of_its_kind(tmp_path: Path) -> None:
    """The command line shows the span, puts it back into a folder of spans, and it arrives once the server accepts it."""
    poison = ended(name="poison")
    is_fixed = False

    def answer(_: int, spans: list[str]) -> tuple[int, dict[str, str], bytes]:
        return OK if is_fixed or span_id(poison) not in spans else (400, {}, b"bad")

    with serving(answer) as server, tracing_to(tmp_path, server.traces_endpoint) as trace:
        trace.processor.on_end(poison)
        trace("good")
        assert not trace.processor.force_flush(60_000)
    box = OutboxDirectory(tmp_path, max_bytes=10**9)
    [letter] = box.dead_letters.find()
    assert (letter.header.signal, letter.event_name) == (TRACES, "poison")
    assert (letter.span_id, letter.trace_id) == (span_id(poison), f"{poison.get_span_context().trace_id:032x}")
    assert letter.happened is not None
    assert "  traces  poison  bad_data  " in run_outbox("dead", "list", "--directory", tmp_path).output
    shown = json.loads(run_outbox("dead", "show", 1, "--directory", tmp_path).output)
    assert (shown["signal"], shown["span_id"], shown["record"]["name"]) == ("traces", span_id(poison), "poison")
    exported = json.loads(run_outbox("export", "--dead", "--directory", tmp_path).output)
    assert exported["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"] == "poison"
    assert run_outbox("dead", "requeue", "--all", "--directory", tmp_path).exit_code == 0
    assert "signal: traces" in run_outbox("status", "--directory", tmp_path).output
    assert '"resourceSpans"' in run_outbox("export", "--directory", tmp_path).output
    is_fixed = True
    with serving(answer) as server, tracing_to(tmp_path, server.traces_endpoint):
        wait_for(lambda: server.accepted)
    assert server.accepted == [span_id(poison)]


def test_forked_child_delivers_its_own_spans(tmp_path: Path) -> None:
    with serving() as server, tracing_to(tmp_path, server.traces_endpoint) as trace:
        trace("parent")
        child = os.fork()
        if not child:
            trace("child")
            os._exit(0 if trace.processor.force_flush(60_000) else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert trace.processor.force_flush(60_000)
    assert len(set(server.accepted)) == 2


def test_spans_are_delivered_after_a_server_failed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with (
        serving(lambda number, _: OK if number else (503, {}, b"")) as server,
        tracing_to(tmp_path, server.traces_endpoint) as trace,
    ):
        made = trace("span")
        wait_for(lambda: server.accepted)
        assert server.accepted == [made]
        wait_for(lambda: "The outbox delivers spans again." in caplog.text)
    assert "Spans wait in the outbox (unavailable)" in caplog.text


def fill(make: Callable[[], object], processor: OutboxProcessor) -> None:
    """Make records or spans until the outbox rejects one."""
    while not processor.counts.total(OUTBOX_REJECTED):
        make()


def test_spans_give_way_to_log_records(tmp_path: Path) -> None:
    """Spans have half of the outbox at most. When it is full, the oldest spans make room before a log record is rejected."""
    with (
        serving(lambda *_: (503, {"Retry-After": "3600"}, b"")) as down,
        logging_to(tmp_path, down.endpoint, max_bytes=2**22) as emit,
        tracing_to(tmp_path, down.traces_endpoint, max_bytes=2**22) as trace,
    ):
        fill(lambda: trace("x" * 10_000), trace.processor)
        assert 2**20 < trace.processor.size <= 2**21
        rejected = trace.processor.counts.by_reason(OUTBOX_REJECTED)
        accepted = trace.processor.counts.total(OUTBOX_ACCEPTED)
        assert set(rejected) == {"outbox_full"}
        fill(lambda: emit("x" * 10_000), emit.processor)
        dropped = trace.processor.counts.by_reason(OUTBOX_REJECTED)["dropped_oldest"]
        assert 0 < dropped < accepted
        assert sum(path.stat().st_size for path in tmp_path.glob("*-????????/*")) > 2**21
        assert set(emit.processor.counts.by_reason(OUTBOX_REJECTED)) == {"outbox_full"}


def test_spans_of_another_directory_do_not_give_way(tmp_path: Path) -> None:
    with (
        serving(lambda *_: (503, {"Retry-After": "3600"}, b"")) as down,
        logging_to(tmp_path / "a", down.endpoint, max_bytes=2**19) as emit,
        tracing_to(tmp_path / "b", down.traces_endpoint) as trace,
    ):
        for _ in range(100):
            trace("x" * 10_000)
        fill(lambda: emit("x" * 10_000), emit.processor)
        assert trace.processor.counts.total(OUTBOX_REJECTED) == 0


def large_span(number: int) -> Any:
    """Return a span with events of 10 kB."""
    return ended(lambda span: [span.add_event("e", {"n": n, "text": "x" * 10_000}) for n in range(number)])


@pytest.mark.parametrize("limit", [2**22, 2**18])
def test_span_that_is_too_large_gives_events_up(tmp_path: Path, limit: int, caplog: pytest.LogCaptureFixture) -> None:
    """The span says how many it lacks. What fits into no server is a dead letter."""
    span = large_span(100)

    def answer(_: int, __: list[str]) -> tuple[int, dict[str, str], bytes]:
        return OK if len(server.raw[-1]) <= limit // 8 else (413, {}, b"")

    with serving(answer) as server, tracing_to(tmp_path, server.traces_endpoint) as trace:
        trace.processor.on_end(span)
        assert trace.processor.force_flush(60_000)
    [message] = spans_of(ExportTraceServiceRequest.FromString(server.raw[-1]))
    assert 0 < len(message.events) == 100 - message.dropped_events_count
    assert f"was sent without {message.dropped_events_count} events" in caplog.text


@pytest.mark.parametrize("failure", [(503, {}, b""), (413, {}, b"")])
def test_span_whose_smaller_form_is_not_accepted(tmp_path: Path, failure: tuple[int, dict[str, str], bytes]) -> None:
    """The whole span waits, or becomes a dead letter."""
    whole = 1_000_000

    def answer(_: int, __: list[str]) -> tuple[int, dict[str, str], bytes]:
        return failure if len(server.raw[-1]) < whole else (413, {}, b"")

    with serving(answer) as server, tracing_to(tmp_path, server.traces_endpoint) as trace:
        trace.processor.on_end(large_span(100))
        wait_for(lambda: server.raw and len(server.raw[-1]) < whole)
        wait_for(lambda: trace.processor.counts.total(OUTBOX_DEAD if failure[0] == 413 else OUTBOX_RETRIED))


def test_span_without_events_does_not_get_smaller(tmp_path: Path) -> None:
    """A span gives up its events alone, so it is sent as it is."""
    with serving(lambda *_: (413, {}, b"")) as server, tracing_to(tmp_path, server.traces_endpoint) as trace:
        trace("span")
        assert not trace.processor.force_flush(60_000)
    assert len(set(server.raw)) == 1


def test_log_record_does_not_get_smaller(tmp_path: Path) -> None:
    with serving(lambda *_: (413, {}, b"")) as server, logging_to(tmp_path, server.endpoint) as emit:
        emit("record")
        assert not emit.processor.force_flush(60_000)
    assert server.requests == [["record"]]


def test_drain_sends_both_signals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    span = ended()
    make_orphan_of_spans(tmp_path, span)
    make_orphan(tmp_path, "record")
    with serving() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", server.traces_endpoint)
        result = drain(tmp_path, server.endpoint)
    assert (result.exit_code, sorted(server.accepted)) == (0, sorted(["record", span_id(span)]))
    assert "Delivered: 2." in result.output


def test_drain_sends_one_signal_although_the_other_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = make_orphan_of_spans(tmp_path, ended())
    make_orphan(tmp_path, "record")
    with serving() as server, serving(lambda *_: (503, {"Retry-After": "3600"}, b"")) as broken:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", broken.traces_endpoint)
        result = drain(tmp_path, server.endpoint)
    assert (result.exit_code, server.accepted, folders_in(tmp_path)) == (1, ["record"], [kept])


def test_drain_leaves_a_signal_without_a_destination_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = make_orphan_of_spans(tmp_path, ended())
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    with serving() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", server.traces_endpoint)
        result = drain(tmp_path, server.endpoint)
    assert (result.exit_code, server.requests, folders_in(tmp_path)) == (1, [], [kept])
