"""The counters of an outbox processor, and the metrics that report them.

Every processor has its own counters (`OutboxCounters`). The metrics read them when a metric reader collects. So counting costs one
addition, and works without any meter provider.

Counters are written by the worker and by every thread that emits, and read by the thread of a metric reader: a lock guards
them. A thread that holds another lock counts with `OutboxCounters.add_later`, which takes none. `OutboxMetrics` has a lock for its two lists,
which change only when a processor begins, ends, or finds itself in a forked child. Both are `RLock`s, since a signal handler may emit, or shut
a processor down, while its own thread holds one.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from heliograph.delivery.signals import OutboxSignal
from heliograph.delivery.transport.verdict import DEAD_REASONS, RETRY_REASONS, Reason, Verdict
from heliograph.runtime.fork import after_fork_in_child
from heliograph.semconv import (
    OUTBOX_ACCEPTED,
    OUTBOX_DAMAGED,
    OUTBOX_DEAD,
    OUTBOX_DELIVERED,
    OUTBOX_DEPTH,
    OUTBOX_OLDEST_AGE,
    OUTBOX_REASON,
    OUTBOX_REJECTED,
    OUTBOX_RETRIED,
    OUTBOX_SIGNAL,
    OUTBOX_SIZE,
    MetricName,
)
from heliograph.telemetry.metrics import ByMeterProvider

# Values of the attribute `heliograph.outbox.reason` for records that are rejected before a server sees them.
OUTBOX_FULL: Final = "outbox_full"
"""The outbox has reached its maximum size."""
MEMORY_FULL: Final = "memory_full"
"""The disk fails, and the memory that is used instead is full."""
SHUT_DOWN: Final = "shut_down"
"""The record was emitted after `shutdown`, or was in memory then, and the disk did not accept it."""
DROPPED_OLDEST: Final = "dropped_oldest"
"""The record waited longest, and was deleted to make room for newer ones."""

_COUNTERS: Final[Mapping[MetricName, tuple[str, ...]]] = {
    OUTBOX_ACCEPTED: ("",),
    OUTBOX_DELIVERED: ("",),
    OUTBOX_REJECTED: (OUTBOX_FULL, MEMORY_FULL, SHUT_DOWN, DROPPED_OLDEST, Reason.PARTIAL_SUCCESS.value),
    OUTBOX_RETRIED: tuple(reason.value for reason in RETRY_REASONS),
    OUTBOX_DEAD: tuple(reason.value for reason in DEAD_REASONS),
    OUTBOX_DAMAGED: ("",),
}
"""The counters, each with all of its reasons: every one is reported from the start, as 0."""


class CountObserver(Protocol):
    """Reports the counts of a processor in its own way, as they happen."""

    def counted(self, metric: MetricName, count: int, reason: str) -> None:
        """Report an addition to a counter."""

    def in_flight(self, change: int) -> None:
        """Report a change of the number of records in flight; it may be negative."""

    def ended(self, seconds: float, verdict: Verdict | None) -> None:
        """Report the time that a request took, and its verdict; `None` if it could not be made."""


class OutboxCounters:
    """Counts records, or requests, by metric and reason. Any thread may count and read.

    Args:
        observer: Is called with each addition, and with each change of the number of records in flight.
    """

    def __init__(self, observer: CountObserver | None = None) -> None:
        self._observer = observer
        self._lock = threading.RLock()
        self._counts: Counter[tuple[MetricName, str]] = Counter()
        self._later: deque[tuple[MetricName, int, str]] = deque()

    def add(self, metric: MetricName, count: int = 1, reason: str = "") -> None:
        """Add to a counter."""
        # `by_reason` lists only reasons that occurred.
        if count:
            with self._lock:
                self._counts[metric, reason] += count
            if self._observer is not None:
                self._observer.counted(metric, count, reason)

    def add_later(self, metric: MetricName, count: int, reason: str) -> None:
        """Add to a counter when somebody reads the counters. No lock is taken, and the observer is not called here."""
        self._later.append((metric, count, reason))

    def observe_request(self, count: int, send: Callable[[], Verdict]) -> Verdict:
        """Send a request, and report it to the observer.

        Args:
            count: The number of records in it.
            send: Sends it.
        """
        if self._observer is None:
            return send()
        verdict = None
        self._observer.in_flight(count)
        start = time.perf_counter()
        try:
            verdict = send()
        finally:
            self._observer.in_flight(-count)
            self._observer.ended(time.perf_counter() - start, verdict)
        return verdict

    def set_total(self, metric: MetricName, count: int) -> None:
        """Set a counter without reasons to a number that is counted elsewhere."""
        with self._lock:
            self._counts[metric, ""] = count

    def total(self, metric: MetricName) -> int:
        """Return the sum over all reasons."""
        return sum(self.by_reason(metric).values())

    def by_reason(self, metric: MetricName) -> Mapping[str, int]:
        """Return the count for each reason that occurred."""
        with contextlib.suppress(IndexError):
            while True:
                self.add(*self._later.popleft())
        with self._lock:
            return {reason: count for (name, reason), count in self._counts.items() if name == metric}


class ObservedProcessor(Protocol):
    """The part of a processor that its metrics read."""

    @property
    def signal(self) -> OutboxSignal:
        """The signal of the records."""

    @property
    def directory(self) -> Path:
        """The directory of the outbox, which may have other processors, too."""

    @property
    def counts(self) -> OutboxCounters:
        """The counters since the process began."""

    @property
    def depth(self) -> int:
        """The number of records that wait to be sent."""

    @property
    def size(self) -> int:
        """The size of the outbox, in bytes."""

    @property
    def oldest_age_seconds(self) -> float:
        """The age of the record that has waited longest."""


Read: TypeAlias = "Callable[[ObservedProcessor], float]"
"""Returns one number of a processor."""
Combine: TypeAlias = "Callable[[Iterable[float]], float]"
"""Combines the numbers of several processors, such as `sum`."""


class OutboxMetrics:
    """The metrics of all processors of a process that share a meter provider (see `outbox_metrics_of`).

    Args:
        meter: The meter that creates the instruments.
    """

    def __init__(self, meter: Meter) -> None:
        self._clear()
        # The parent reports its own counts. A child that did so too would double them.
        after_fork_in_child(self._clear)
        for metric in _COUNTERS:
            callback = partial(self._observe_counter, metric)
            meter.create_observable_counter(metric, [callback], unit=metric.unit, description=metric.brief)
        # Only the depth is additive over processes: each of them reports the size of the whole directory.
        depth = partial(self._observe_state, sum, lambda processor: processor.depth)
        age = partial(self._observe_state, max, lambda processor: processor.oldest_age_seconds)
        meter.create_observable_up_down_counter(
            OUTBOX_DEPTH, [depth], unit=OUTBOX_DEPTH.unit, description=OUTBOX_DEPTH.brief
        )
        gauges: Mapping[MetricName, Callable[[CallbackOptions], Iterable[Observation]]] = {
            OUTBOX_SIZE: self._observe_size,
            OUTBOX_OLDEST_AGE: age,
        }
        for metric, observe in gauges.items():
            meter.create_observable_gauge(metric, [observe], unit=metric.unit, description=metric.brief)

    def _clear(self) -> None:
        # A new lock, too: in a forked child the old one may be held by a thread that does not exist there.
        self._lock = threading.RLock()
        self._observed: list[ObservedProcessor] = []
        self._ended: list[tuple[OutboxSignal, OutboxCounters]] = []

    def add(self, processor: ObservedProcessor) -> None:
        """Report a processor from now on."""
        with self._lock:
            self._observed.append(processor)

    def remove(self, processor: ObservedProcessor) -> None:
        """Stop reporting the state of a processor. Its counts stay in the sums, since a counter must never decrease."""
        with self._lock:
            self._observed.remove(processor)
            self._ended.append((processor.signal, processor.counts))

    def _observe_counter(self, metric: MetricName, _: CallbackOptions) -> Iterable[Observation]:
        with self._lock:
            counters = [*self._ended, *((each.signal, each.counts) for each in self._observed)]
        # None if no processor was ever used, or this is a forked child before it has one.
        totals = {signal: Counter(dict.fromkeys(_COUNTERS[metric], 0)) for signal, _ in counters}
        for signal, each in counters:
            totals[signal].update(each.by_reason(metric))
        for signal, total in totals.items():
            for reason, count in total.items():
                yield Observation(count, _attributes(signal) | ({OUTBOX_REASON: reason} if reason else {}))

    def _observe_state(
        self,
        combine: Combine,
        read: Read,
        _: CallbackOptions,
    ) -> Iterable[Observation]:
        with self._lock:
            observed = list(self._observed)
        for signal in dict.fromkeys(each.signal for each in observed):
            yield Observation(combine(read(each) for each in observed if each.signal is signal), _attributes(signal))

    def _observe_size(self, _: CallbackOptions) -> Iterable[Observation]:
        with self._lock:
            observed = {each.directory: each for each in self._observed}  # each directory once
        if observed:
            yield Observation(sum(each.size for each in observed.values()))


def _attributes(signal: OutboxSignal) -> dict[str, str]:
    return {OUTBOX_SIGNAL: signal.name}


outbox_metrics_of: Final = ByMeterProvider(OutboxMetrics).of
"""Return the `OutboxMetrics` of a meter provider. Processors that share a provider share them."""
