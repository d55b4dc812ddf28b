"""What became of records: counted for each processor, and told as metrics."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final, Protocol

from opentelemetry.metrics import CallbackOptions, Meter, Observation

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
    OUTBOX_SIZE,
    MetricName,
)
from heliograph.telemetry.metrics import ByMeterProvider

OUTBOX_FULL: Final = "outbox_full"
MEMORY_FULL: Final = "memory_full"
SHUT_DOWN: Final = "shut_down"
DROPPED_OLDEST: Final = "dropped_oldest"

_COUNTERS: Final = (
    OUTBOX_ACCEPTED,
    OUTBOX_DELIVERED,
    OUTBOX_REJECTED,
    OUTBOX_RETRIED,
    OUTBOX_DEAD,
    OUTBOX_DAMAGED,
)


class OutboxCounters:
    """How many records, or requests, by the name of the metric and the reason; any thread may count."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._counts: Counter[tuple[MetricName, str]] = Counter()

    def add(self, metric: MetricName, count: int = 1, reason: str = "") -> None:
        """Count some more."""
        if count:
            with self._lock:
                self._counts[metric, reason] += count

    def reach(self, metric: MetricName, count: int) -> None:
        """Note how many there are by now, of what is counted elsewhere."""
        with self._lock:
            self._counts[metric, ""] = count

    def total(self, metric: MetricName) -> int:
        """How many there are, whatever the reason."""
        return sum(self.by_reason(metric).values())

    def by_reason(self, metric: MetricName) -> Mapping[str, int]:
        """How many there are for each reason."""
        with self._lock:
            return {reason: count for (name, reason), count in self._counts.items() if name == metric}


class ObservedOutbox(Protocol):
    """What the metrics of an outbox are read from."""

    @property
    def counts(self) -> OutboxCounters:
        """What became of records so far."""

    @property
    def depth(self) -> int:
        """How many records wait."""

    @property
    def size(self) -> int:
        """How many bytes the outbox has."""

    @property
    def oldest_age_seconds(self) -> float:
        """How old the oldest record is that waits."""


class OutboxMetrics:
    """The metrics of all outboxes of a process that share a meter provider (see `outbox_metrics_of`).

    Args:
        meter: Where the instruments are made.
    """

    def __init__(self, meter: Meter) -> None:
        self._restart()
        after_fork_in_child(self._restart)  # the parent goes on reporting what was counted so far
        for metric in _COUNTERS:
            callback = partial(self._observe_counter, metric)
            meter.create_observable_counter(metric, [callback], unit=metric.unit, description=metric.brief)
        gauges: Mapping[MetricName, Callable[[ObservedOutbox], float]] = {
            OUTBOX_DEPTH: lambda each: each.depth,
            OUTBOX_SIZE: lambda each: each.size,
            OUTBOX_OLDEST_AGE: lambda each: each.oldest_age_seconds,
        }
        for metric, read in gauges.items():
            callback = partial(self._observe_gauge, max if metric is OUTBOX_OLDEST_AGE else sum, read)
            meter.create_observable_gauge(metric, [callback], unit=metric.unit, description=metric.brief)

    def _restart(self) -> None:
        self._lock = threading.Lock()
        self._observed: list[ObservedOutbox] = []
        self._ended: list[OutboxCounters] = []

    def begin(self, observed: ObservedOutbox) -> None:
        """Tell of it from now on."""
        with self._lock:
            self._observed.append(observed)

    def end(self, observed: ObservedOutbox) -> None:
        """Tell no more of it than what it counted: a counter never goes back."""
        with self._lock:
            self._observed.remove(observed)
            self._ended.append(observed.counts)

    def _observe_counter(self, metric: MetricName, _: CallbackOptions) -> Iterable[Observation]:
        with self._lock:
            counts = [*self._ended, *(each.counts for each in self._observed)]
        totals: Counter[str] = Counter()
        for each in counts:
            totals.update(each.by_reason(metric))
        return [Observation(count, {OUTBOX_REASON: reason} if reason else {}) for reason, count in totals.items()]

    def _observe_gauge(
        self,
        together: Callable[[Iterable[float]], float],
        read: Callable[[ObservedOutbox], float],
        _: CallbackOptions,
    ) -> Iterable[Observation]:
        with self._lock:
            observed = list(self._observed)
        return [Observation(together(read(each) for each in observed))] if observed else []


outbox_metrics_of: Final = ByMeterProvider(OutboxMetrics).of
