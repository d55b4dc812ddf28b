"""A log record processor that loses nothing: what it accepted is on the disk, and is sent until a server took it."""

from __future__ import annotations

import logging
import threading
import time
from os import PathLike
from pathlib import Path
from typing import Final, NamedTuple

from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from heliograph.delivery.encoding.log_records import encode_log_record, encode_scope, log_record_field
from heliograph.delivery.folders import OutboxDirectory
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.journal.writer import SEGMENT_BYTES, JournalClosed
from heliograph.delivery.metrics import (
    DROPPED_OLDEST,
    MEMORY_FULL,
    OUTBOX_FULL,
    SHUT_DOWN,
    OutboxCounters,
    outbox_metrics_of,
)
from heliograph.delivery.sender import MAX_BATCH_BYTES, Sender
from heliograph.delivery.storage import ResourceStorage, header_of
from heliograph.delivery.transport.contract import Transport
from heliograph.delivery.transport.destination import Destination
from heliograph.delivery.transport.environment import destination_from_env
from heliograph.delivery.transport.open import open_transport
from heliograph.delivery.worker import Worker
from heliograph.errors import OutboxFull
from heliograph.runtime.deadline import Deadline
from heliograph.runtime.fork import after_fork_in_child
from heliograph.semconv import OUTBOX_ACCEPTED, OUTBOX_REJECTED, SCOPE
from heliograph.settings import OutboxFullPolicy
from heliograph.telemetry.providers import Providers

MAX_BYTES: Final = 2**30
EXIT_TIMEOUT_MILLIS: Final = 5000.0

_WAKE_BYTES: Final = MAX_BATCH_BYTES
_SEGMENTS: Final = 8
_TELL_EACH_SECONDS: Final = 10.0
_MOST_ROUTES: Final = 1024

logger: Final = logging.getLogger(SCOPE)


class _Route(NamedTuple):
    resource: Resource | None
    said: InstrumentationScope | None
    journal: ResourceStorage
    scope: Scope


class OutboxLogRecordProcessor(LogRecordProcessor):
    """Writes each log record into a journal before `on_emit` returns, and sends the journal from a thread of its own.

    A record that was accepted survives the death of the process; whoever uses the directory next sends what is left.

    Args:
        directory: The outbox; made, for its owner alone, if it is not there.
        destination: Where to send to; `None` asks the standard ``OTEL_EXPORTER_OTLP_*`` environment.
        transport: What carries requests; `None` is what the destination's protocol asks for.
        max_bytes: How large the outbox may become.
        when_full: What happens then.
        durable: Whether a record is on the disk itself before `on_emit` returns, and survives a power cut.
        strict: Whether `on_emit` raises `OutboxFull`, rather than telling it in a log.
        meter_provider: Where its metrics go; `None` is the global one.

    Raises:
        OutboxError: The directory cannot be used.
        SettingsError: The environment names no destination that can be used.
    """

    def __init__(
        self,
        directory: str | PathLike[str],
        *,
        destination: Destination | None = None,
        transport: Transport | None = None,
        max_bytes: int = MAX_BYTES,
        when_full: OutboxFullPolicy = OutboxFullPolicy.REJECT,
        durable: bool = False,
        strict: bool = False,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self._destination = destination or destination_from_env()
        self._given_transport = transport
        self._outbox = OutboxDirectory(Path(directory), max_bytes=max_bytes)
        self._segment_bytes = max(64 * 1024, min(SEGMENT_BYTES, max_bytes // _SEGMENTS))
        self._when_full = when_full
        self._durable = durable
        self._strict = strict
        self._metrics = outbox_metrics_of(Providers(meter_provider=meter_provider))
        self._journals: dict[Header, ResourceStorage] = {}
        self._begin()
        after_fork_in_child(self._begin_in_child)

    def _begin(self) -> None:
        self._counts = OutboxCounters()
        self._routes: dict[tuple[int, int], _Route] = {}
        self._lock = threading.RLock()  # all of them: the handler of a signal may emit a record, too
        self._pending_bytes = 0
        self._is_shut_down = False
        self._told_rejected = float("-inf")
        self._sender = Sender(
            self._given_transport or open_transport(self._destination),
            timeout_seconds=self._destination.timeout_seconds,
            dead_letters=self._outbox.dead_letters,
            counts=self._counts,
        )
        self._worker = Worker(self._outbox, self._sender, lambda: list(self._journals.values()))
        self._metrics.begin(self)

    def _begin_in_child(self) -> None:
        """Leave the parent what is the parent's, and begin anew."""
        for journal in self._journals.values():
            journal.abandon()
        self._worker.abandon()
        self._journals = {}
        if self._is_shut_down:
            self._lock = threading.RLock()
        else:
            self._begin()

    @property
    def counts(self) -> OutboxCounters:
        """What became of records, since this process began."""
        self._counts.reach(OUTBOX_ACCEPTED, sum(journal.accepted for journal in list(self._journals.values())))
        return self._counts

    @property
    def depth(self) -> int:
        """How many records wait to be sent, those that other processes left to this one, too."""
        own = sum(journal.waiting for journal in list(self._journals.values()))
        return own + sum(orphan.waiting for orphan in self._worker.orphans)

    @property
    def size(self) -> int:
        """How many bytes the outbox has."""
        return self._outbox.size()

    @property
    def oldest_age_seconds(self) -> float:
        """How long ago the record was made that waits longest; 0 where none waits."""
        journals = [source for journal in list(self._journals.values()) for source in journal.sources()]
        orphans = [each.reader for each in self._worker.orphans]
        waiting = [oldest for each in [*journals, *orphans] if (oldest := each.oldest) is not None]
        return max((entry.age_seconds for entry in waiting), default=0.0)

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Accept a record: when it returns, the record survives the death of the process.

        Raises:
            OutboxFull: There is no room, and the processor is strict.
        """
        framed = log_record_field(encode_log_record(log_record.log_record, log_record.dropped_attributes))
        resource, said = log_record.resource, log_record.instrumentation_scope
        route = self._routes.get((id(resource), id(said)))
        try:
            if route is None or route.resource is not resource or route.said is not said:
                route = self._new_route(resource, said)
            if not route.journal.append(route.scope, framed):
                self._reject(MEMORY_FULL, "neither the disk nor the memory takes more")
        except JournalClosed:
            self._reject(SHUT_DOWN, "the outbox was shut down")
        except OutboxFull as error:
            self._reject(OUTBOX_FULL, str(error))
            if self._strict:
                raise
        self._pending_bytes += len(framed)
        if self._pending_bytes > _WAKE_BYTES:
            self._pending_bytes = 0
            self._worker.wake()

    def _reject(self, reason: str, words: str) -> None:
        self._counts.add(OUTBOX_REJECTED, reason=reason)
        if time.monotonic() - self._told_rejected > _TELL_EACH_SECONDS:
            self._told_rejected = time.monotonic()
            logger.error("Records are not accepted: %s", words)

    def _gave_up(self, count: int) -> None:
        self._counts.add(OUTBOX_REJECTED, count, DROPPED_OLDEST)
        logger.warning("The outbox is full: %d records that waited longest are given up.", count)

    def _new_route(self, resource: Resource | None, said: InstrumentationScope | None) -> _Route:
        """Where the records of a resource and a scope go; found by identity from now on, which costs the least."""
        scope = Scope(scope=b"")
        if said is not None:
            message = encode_scope(said.name, said.version, said.attributes)
            scope = Scope(scope=message, schema_url=said.schema_url or "")
        route = _Route(resource, said, self._journal(header_of(resource)), scope)
        if len(self._routes) >= _MOST_ROUTES:  # a program that makes loggers all the time fills no memory
            self._routes.clear()
        self._routes[id(resource), id(said)] = route
        return route

    def _journal(self, header: Header) -> ResourceStorage:
        with self._lock:
            if self._is_shut_down:
                raise JournalClosed
            journal = self._journals.get(header)
            if journal is None:
                journal = self._journals[header] = ResourceStorage(
                    header=header,
                    outbox=self._outbox,
                    segment_bytes=self._segment_bytes,
                    durable=self._durable,
                    gave_up=self._gave_up if self._when_full is OutboxFullPolicy.DROP_OLDEST else None,
                )
            return journal

    def force_flush(self, timeout_millis: float = 30_000) -> bool:
        """Whether all that was accepted so far was answered for within the time."""
        deadline = Deadline(timeout_millis)
        targets = [(journal, journal.targets()) for journal in list(self._journals.values())]
        self._sender.cancel_backoff()
        self._worker.wake()
        return self._worker.wait_for(lambda: all(journal.has_sent(*target) for journal, target in targets), deadline)

    def shutdown(self, timeout_millis: float = EXIT_TIMEOUT_MILLIS) -> None:
        """Send what can be sent within the time; the rest stays on the disk, for whoever uses the outbox next."""
        with self._lock:
            was_shut_down, self._is_shut_down = self._is_shut_down, True
        if was_shut_down:
            return
        deadline = Deadline(timeout_millis)
        if self.force_flush(timeout_millis):
            self._worker.send_orphans(deadline)
        else:
            logger.warning("Not all records of the outbox were delivered; they stay in %s.", self._outbox.directory)
        if self._worker.close(deadline):
            for journal in self._journals.values():
                journal.close()
        else:
            logger.error("The thread of the outbox does not end; what waits is sent by the next process.")
        self._metrics.end(self)
