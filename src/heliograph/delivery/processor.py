"""Processors that store each record or span on disk before they return, and send it until a server accepts it.

The design is in the package's docstring (`heliograph.delivery`): threads, locks, invariants, and each step from `emit` to the
acknowledgement. Records come in here: this module encodes a record, finds the storage of its resource, appends, and wakes the worker.
`OutboxProcessor` is all that the processors of log records and of spans have in common; in it, "record" means either.

Any thread may call any method at any time, and so may a signal handler in the middle of another call of its own
thread. A processor has no lock of its own; its parts have theirs. These fields change without one:

- `_pending_bytes` may miss a few additions of threads that race. It only decides when the worker is woken, which polls anyway.
- `_reported_losses` may be set by two flushes at once: both may then report the same loss, or a later one reports it again.
- `_error_logged_at` may be read by two threads at once. The message is logged twice then.
- `_logged_drops` is read and set by the worker, and by `shutdown` after it.

In a forked child only the forking thread exists, and another one may have held any lock. `_restart_in_child` closes the files that
belong to the parent, and creates everything again.
"""

from __future__ import annotations

import time
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import ClassVar, Final

from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord, SynchronousMultiLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from heliograph.delivery.encoding.log_records import encode_log_record
from heliograph.delivery.encoding.requests import ENTRY_HEADS
from heliograph.delivery.journal.filesystems import keeps_reserved_space
from heliograph.delivery.journal.frames import Header
from heliograph.delivery.journal.writer import SEGMENT_BYTES, JournalClosed
from heliograph.delivery.logger import make_outbox_logger
from heliograph.delivery.metrics import (
    DROPPED_OLDEST,
    MEMORY_FULL,
    OUTBOX_FULL,
    SHUT_DOWN,
    OutboxCounters,
    outbox_metrics_of,
)
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.processor_arguments import MAX_BYTES, check_processor_arguments
from heliograph.delivery.self_observation import SelfObservation, self_observation_is_enabled
from heliograph.delivery.sending.destination_state import MAX_BATCH_BYTES, DestinationState
from heliograph.delivery.sending.sender import Sender
from heliograph.delivery.signals import LOGS, OutboxSignal
from heliograph.delivery.storage import ResourceStorage
from heliograph.delivery.storages import Storages
from heliograph.delivery.transport.contract import Transport
from heliograph.delivery.transport.destination import Destination
from heliograph.delivery.transport.environment import destination_from_env
from heliograph.delivery.transport.open import open_transport
from heliograph.delivery.worker import Worker
from heliograph.errors import OutboxFull
from heliograph.runtime.deadline import Deadline
from heliograph.runtime.fork import after_fork_in_child
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import OUTBOX_ACCEPTED, OUTBOX_REJECTED, SCOPE
from heliograph.settings import OutboxFullPolicy, OutboxWrite
from heliograph.telemetry.providers import Providers
from heliograph.values.text import counted

EXIT_TIMEOUT_MILLIS: Final = 5000.0
"""The default time that `shutdown` may take."""

_WAKE_BYTES: Final = MAX_BATCH_BYTES
"""The worker is woken after this many bytes: a full request waits then. Smaller amounts wait for its next poll."""
_SEGMENTS: Final = 8
"""The largest segment is the maximum size divided by this number, so that dropping the oldest segment does not drop most of the outbox."""
_MIN_SEGMENT_BYTES: Final = 64 * 1024
_LOG_INTERVAL_SECONDS: Final = 10.0
"""The shortest time between two messages about records that are not accepted."""

logger: Final = SafeLogger(SCOPE)


class OutboxProcessor:
    """Stores encoded records of one signal on disk before `append` returns, and sends them until they are accepted.

    A base for the processors of log records and of spans. Each has its own destination, thread and backoff, so one that fails does not
    stop the other. Several may use one directory.

    Args:
        directory: The outbox. It is created, for its owner only, if it does not exist. Many processes may share it.
        destination: The server. `None` reads the standard ``OTEL_EXPORTER_OTLP_*`` variables of the signal.
        transport: The client that sends requests. `None` opens one for the destination's protocol.
        max_bytes: The size that the outbox may reach, by default 1 GiB. Spans are accepted while it has less than half of it.
        when_full: The policy for a full outbox: reject new records, or drop those that have waited longest.
        durable: True if each record must be on the disk itself before `append` returns, so that it survives a power cut.
            It costs a flush to the disk for each record, or for all threads that emit at the same time.
        write: The way to write files: through a memory map, by system calls, or by the file system of the directory.
        strict: True if `append` must raise `OutboxFull`. By default it logs an error, at most every ten seconds.
        meter_provider: The provider of its metrics. `None` is the global one.

    Raises:
        OutboxError: The directory cannot be used.
        SettingsError: The environment names no destination that can be used.
        TypeError: An argument has a wrong type.
        ValueError: `max_bytes` is below 1, or `directory` is an empty text.
    """

    _signal: ClassVar[OutboxSignal]

    def __init__(
        self,
        directory: str | PathLike[str],
        *,
        destination: Destination | None = None,
        transport: Transport | None = None,
        max_bytes: int = MAX_BYTES,
        when_full: OutboxFullPolicy = OutboxFullPolicy.REJECT,
        durable: bool = False,
        write: OutboxWrite = OutboxWrite.AUTO,
        strict: bool = False,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        check_processor_arguments(
            directory=directory,
            destination=destination,
            transport=transport,
            max_bytes=max_bytes,
            when_full=when_full,
            durable=durable,
            write=write,
            strict=strict,
        )
        providers = Providers(meter_provider=meter_provider)
        self._destination = replace(
            destination or destination_from_env(signal=self._signal.name), signal=self._signal.name
        )
        self._given_transport = transport
        max_bytes = int(max_bytes * self._signal.share)
        self._outbox = OutboxDirectory(Path(directory).expanduser(), max_bytes=max_bytes)
        self._segment_bytes = max(_MIN_SEGMENT_BYTES, min(SEGMENT_BYTES, max_bytes // _SEGMENTS))
        self._when_full = when_full
        self._durable = durable
        is_safe = write is OutboxWrite.AUTO and keeps_reserved_space(self._outbox.directory)
        self._mapped = write is OutboxWrite.MAP or is_safe
        self._strict = strict
        self._metrics = outbox_metrics_of(providers)
        # Once, and not in `_start`: a forked child must not create the same instruments again.
        self._self_observation = (
            SelfObservation(self._destination, lambda: self.depth, meter_provider, type(self))
            if self_observation_is_enabled()
            else None
        )
        self._start()
        # After `outbox_metrics_of`: callbacks run in the order of registration, and the metrics of a child must be empty
        # before this processor adds itself to them.
        after_fork_in_child(self._restart_in_child)

    def _start(self) -> None:
        """Create everything that a process has for itself, and start the worker."""
        self._counters = OutboxCounters(self._self_observation)
        self._storages = Storages(self._signal, self._outbox.directory, self._create_storage)
        self._pending_bytes = 0
        self._reported_losses = self._logged_drops = 0
        self._error_logged_at = float("-inf")
        state = DestinationState(
            self._given_transport or open_transport(self._destination),
            timeout_seconds=self._destination.timeout_seconds,
            dead_letters=self._outbox.dead_letters,
            counts=self._counters,
            signal=self._signal,
        )
        self._sender = Sender(state)
        self._worker = Worker(self._outbox, self._sender, self._storages.all, self._log_dropped)
        self._metrics.add(self)

    def _restart_in_child(self) -> None:
        """Close the inherited files, which the parent goes on using, and start again: own folders, counts and worker."""
        self._storages.abandon()
        self._worker.abandon()
        if not self._storages.is_closed:
            self._start()

    def _create_storage(self, header: Header) -> ResourceStorage:
        return ResourceStorage(
            header=header,
            outbox=self._outbox,
            segment_bytes=self._segment_bytes,
            durable=self._durable,
            mapped=self._mapped,
            on_dropped=self._count_dropped,
            may_drop=self._when_full is OutboxFullPolicy.DROP_OLDEST,
            drop_from_other_signals=self._storages.drop_from_other_signals,
        )

    @property
    def signal(self) -> OutboxSignal:
        """The signal of the records."""
        return self._signal

    @property
    def directory(self) -> Path:
        """The directory of the outbox."""
        return self._outbox.directory

    @property
    def counts(self) -> OutboxCounters:
        """The number of records that were accepted, delivered, rejected and so on, since this process began."""
        # Not counted in `on_emit`: the sequences of the journals count accepted records already.
        self._counters.set_total(OUTBOX_ACCEPTED, sum(storage.accepted for storage in self._storages.all()))
        return self._counters

    @property
    def depth(self) -> int:
        """The number of records that wait to be sent, including those of orphans that this process has adopted."""
        own = sum(storage.waiting for storage in self._storages.all())
        return own + sum(orphan.waiting for orphan in self._worker.orphans)

    @property
    def size(self) -> int:
        """The size of the outbox, in bytes."""
        return self._outbox.space.used()

    @property
    def oldest_age_seconds(self) -> float:
        """The age of the record that has waited longest; 0 if none waits.

        Only records that the worker has read are known. It reads the oldest ones first, so a record that cannot be sent is.
        """
        own = [source for storage in self._storages.all() for source in storage.sources()]
        adopted = [orphan.reader for orphan in self._worker.orphans]
        oldest = [entry for source in [*own, *adopted] if (entry := source.oldest) is not None]
        return max((entry.age_seconds(self._signal) for entry in oldest), default=0.0)

    def append(
        self, resource: Resource | None, instrumentation_scope: InstrumentationScope | None, message: bytes
    ) -> None:
        """Store a record that is encoded already. It is encoded before any lock is taken, so that threads do it at the same time.

        When this returns, the record survives the death of the process, or was counted as rejected.

        Args:
            resource: The resource of the record's provider.
            instrumentation_scope: The scope of its logger or tracer.
            message: The `LogRecord` or `Span` message.

        Raises:
            OutboxFull: The outbox is full, and the processor is strict.
        """
        # As `entry_field`: a call costs time on the path of every record.
        encoded = ENTRY_HEADS[len(message)] + message
        known = self._storages.known.get((id(resource), id(instrumentation_scope)))
        try:
            found = known or self._storages.find(resource, instrumentation_scope)
            if not found.storage.append(found.scope, encoded):
                self._reject(MEMORY_FULL, "the disk accepts nothing, and the memory for records is full")
        except JournalClosed:
            self._reject(SHUT_DOWN, "the outbox was shut down")
        except OutboxFull as error:
            self._reject(OUTBOX_FULL, str(error))
            if self._strict:
                raise
        self._pending_bytes += len(encoded)
        if self._pending_bytes > _WAKE_BYTES:
            self._pending_bytes = 0
            self._worker.wake()

    def _reject(self, reason: str, message: str) -> None:
        self._counters.add(OUTBOX_REJECTED, reason=reason)
        if time.monotonic() - self._error_logged_at > _LOG_INTERVAL_SECONDS:
            self._error_logged_at = time.monotonic()
            logger.error("%ss are not accepted: %s", self._signal.word.capitalize(), message)

    def _count_dropped(self, count: int) -> None:
        """Count records that were dropped. They are not logged here, because the thread that drops them holds the lock of a journal.

        A handler of `logging` may emit: it would wait for the journal, and this thread for the handler.
        """
        self._counters.add_later(OUTBOX_REJECTED, count, DROPPED_OLDEST)

    def _log_dropped(self) -> None:
        """Log the number of records that were dropped since the last call. The worker calls this in each round."""
        dropped = self._counters.by_reason(OUTBOX_REJECTED).get(DROPPED_OLDEST, 0)
        if dropped > self._logged_drops:
            count, self._logged_drops = dropped - self._logged_drops, dropped
            logger.warning("The outbox is full. Dropped: %s, the oldest.", counted(count, self._signal.word))

    def force_flush(self, timeout_millis: float = 30_000) -> bool:
        """Wait until every record that was accepted before this call was delivered.

        Args:
            timeout_millis: The time to wait, in milliseconds.

        Returns:
            False if one of them still waits when the time is over; it stays in the outbox, and is sent later. Also False if,
            since the last call that reported it, a record became a dead letter, was damaged, was rejected by a server that
            accepted its request, was dropped to make room, was emitted after `shutdown`, or was in memory then and could not be
            written to the disk.
        """
        # Noted first: of two flushes at the same time, both report a loss that happens during both.
        reported = self._reported_losses
        is_acknowledged = self._wait_acknowledged(timeout_millis)
        losses = self._losses()
        self._reported_losses = max(losses, self._reported_losses)
        return is_acknowledged and losses == reported

    def _losses(self) -> int:
        """Return the number of records that this process accepted, and that are neither delivered nor wait."""
        rejected = self._counters.by_reason(OUTBOX_REJECTED)
        return self._sender.own_losses + rejected.get(DROPPED_OLDEST, 0) + rejected.get(SHUT_DOWN, 0)

    def _wait_acknowledged(self, timeout_millis: float) -> bool:
        """Wait until every record that was accepted before this call is acknowledged. Return False if the time is over first."""
        deadline = Deadline(timeout_millis)
        # Fixed now: a program that never stops emitting must not make a flush last for ever.
        goals = [(storage, storage.last_sequences()) for storage in self._storages.all()]
        self._sender.cancel_backoff()
        self._worker.wake()

        def is_done() -> bool:
            return all(
                storage.is_acknowledged(*goal) and not any(map(self._worker.has_to_send, storage.orphaned))
                for storage, goal in goals
            )

        return self._worker.wait_for(is_done, deadline)

    def shutdown(self, timeout_millis: float = EXIT_TIMEOUT_MILLIS) -> None:
        """Send what can be sent within the time, and close all files. The rest stays on the disk for the next process.

        A second call does nothing. Records that are emitted from now on are rejected, and counted.

        Args:
            timeout_millis: The time that it may take, in milliseconds.
        """
        # This comes first: nothing is shut down if `timeout_millis` is no time.
        deadline = Deadline(timeout_millis)
        if not self._storages.close():
            return
        if self._wait_acknowledged(timeout_millis):
            # Own records come first: orphans have waited for some process anyway.
            self._worker.wait_for_orphans(deadline)
        else:
            logger.warning(
                "Not all %ss of the outbox were delivered; they stay in %s.", self._signal.word, self._outbox.directory
            )
        # The order matters: the thread of the worker reads the journals that are closed, or deleted, after it.
        if self._worker.close(deadline):
            for storage in self._storages.all():
                self._counters.add(OUTBOX_REJECTED, storage.close(), SHUT_DOWN)
        else:
            logger.error(
                "The thread of the outbox did not end in time: its files stay open, and the next process sends the rest."
            )
        self._log_dropped()
        self._metrics.remove(self)


class _ProcessorsOfProgram:
    """The processors of a provider that is not heliograph's. The program may add one at any time, so each record looks at them."""

    def __init__(self, processors: SynchronousMultiLogRecordProcessor) -> None:
        self._processors = processors

    @property
    def only_outbox(self) -> OutboxLogRecordProcessor | None:
        """The outbox if the provider has no other processor. One of a subclass may do more in `on_emit`, and does not count."""
        found = self._processors._log_record_processors  # noqa: SLF001 — `prepare_logger` has checked that it is there
        return found[0] if len(found) == 1 and type(found[0]) is OutboxLogRecordProcessor else None


class OutboxLogRecordProcessor(OutboxProcessor, LogRecordProcessor):
    """Stores each log record on disk before `on_emit` returns, and sends it from a background thread until it is accepted.

    A record that was accepted survives the death of the process. The next process that uses the directory sends it, or
    ``heliograph outbox drain``. Add one to a `LoggerProvider` of the SDK::

        logger_provider.add_log_record_processor(OutboxLogRecordProcessor("/var/lib/my-app/outbox"))

    It has the arguments and errors of `OutboxProcessor`.
    """

    _signal = LOGS

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Store a record. When this returns, the record survives the death of the process, or was counted as rejected.

        Raises:
            OutboxFull: The outbox is full, and the processor is strict.
        """
        encoded = encode_log_record(log_record.log_record, log_record.dropped_attributes)
        self.append(log_record.resource, log_record.instrumentation_scope, encoded)

    def prepare_logger(self, logger: object) -> None:
        """Let a logger of a provider of the SDK encode records straight into this outbox, as long as its provider has no other processor.

        heliograph calls this for its own logger. Loggers of another class stay as they are, and so do all others in a release of the SDK with
        other private fields.
        """
        processors = getattr(logger, "_multi_log_record_processor", None)
        if type(processors) is SynchronousMultiLogRecordProcessor and hasattr(processors, "_log_record_processors"):
            make_outbox_logger(logger, _ProcessorsOfProgram(processors))
