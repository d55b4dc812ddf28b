"""Records of either signal by one interface, for tests of what an outbox does with both."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.context import Context
from opentelemetry.sdk.trace import RandomIdGenerator, ReadableSpan
from opentelemetry.trace import SpanContext

from delivery.outboxes import logging_to
from delivery.spans import tracing_to
from heliograph.delivery.encoding.requests import entry_field
from heliograph.delivery.encoding.spans import encode_span
from heliograph.delivery.processor import OutboxProcessor
from heliograph.delivery.signals import LOGS, SIGNALS, TRACES, OutboxSignal

Case = TypeVar("Case")

each_signal: Final = pytest.mark.parametrize("signal", SIGNALS, ids=[f"{each.word}s" for each in SIGNALS])
"""Runs a test for log records, and for spans."""


def record_id(signal: OutboxSignal, name: str) -> str:
    """Return the id by which a server counts the record with this name: a unique id, or the id of a span."""
    return name if signal is LOGS else hashlib.sha256(name.encode()).hexdigest()[:16]


def ids(signal: OutboxSignal, names: Iterable[str]) -> list[str]:
    """Return the ids of the records with these names."""
    return [record_id(signal, name) for name in names]


def encoded_span(name: str) -> bytes:
    """Return a span as a journal stores it."""
    context = SpanContext(1, int(record_id(TRACES, name), 16), is_remote=False)
    return entry_field(encode_span(ReadableSpan(name, context, start_time=time.time_ns(), end_time=time.time_ns())))


def at_once(function: Callable[[Case], None], cases: Sequence[Case]) -> None:
    """Call a function for each case, each in a thread: the pauses of all cost a test no more than those of one."""
    with ThreadPoolExecutor(len(cases)) as pool:
        list(pool.map(function, cases))


class _NamedIds(RandomIdGenerator):
    """Gives a span the id that belongs to its name, so that a test knows the id in every process, and before the span is sent."""

    name = ""

    def generate_span_id(self) -> int:
        return int(record_id(TRACES, self.name), 16)


@dataclass(frozen=True)
class Emitter:
    """Emits records of one signal.

    Attributes:
        signal: The signal.
        processor: The processor that stores them.
        provided: The logger or the tracer.
        span_ids: The ids of the tracer's spans.
    """

    signal: OutboxSignal
    processor: OutboxProcessor
    provided: Any
    span_ids: _NamedIds

    def __call__(self, name: str, *, size: int = 0) -> str:
        """Emit a record of about this size, and return its id."""
        if self.signal is LOGS:
            record = LogRecord(context=Context(), body="x" * size, attributes={"log.record.uid": name})
            self.provided.emit(record)
        else:
            self.span_ids.name = name
            span = self.provided.start_span(name, context=Context(), attributes={"text": "x" * size})
            span.add_event("app.event")
            span.end()
        return record_id(self.signal, name)


@contextmanager
def emitting_to(signal: OutboxSignal, directory: Path, endpoint: str = "", **options: Any) -> Iterator[Emitter]:
    """Yield an emitter whose records go through an outbox to the endpoint. The options are those of the processor."""
    span_ids = _NamedIds()
    if signal is LOGS:
        with logging_to(directory, endpoint, **options) as emit:
            yield Emitter(signal, emit.processor, emit.logger, span_ids)
    else:
        with tracing_to(directory, endpoint, id_generator=span_ids, **options) as trace:
            yield Emitter(signal, trace.processor, trace.tracer, span_ids)
