"""The metrics of events, hooks and tokens."""

from __future__ import annotations

import logging
import threading
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

from opentelemetry.metrics import (
    CallbackOptions,
    Histogram,
    Meter,
    MeterProvider,
    NoOpMeter,
    Observation,
    get_meter_provider,
)

from heliograph.errors import qualified_name
from heliograph.runtime.fork import after_fork_in_child
from heliograph.semconv import (
    DURATION_BUCKETS,
    EMIT_FAILURES,
    ERROR_TYPE,
    EVENT_NAME,
    EVENTS,
    HOOK,
    HOOK_FAILURES,
    SCOPE,
    SIGNAL,
    TOKEN_CREATE_DURATION,
    TOKEN_VERIFY_DURATION,
    VIOLATION_KIND,
    VIOLATIONS,
    AttributeName,
    MetricName,
)
from heliograph.telemetry.providers import Providers

logger: Final = logging.getLogger(SCOPE)

T = TypeVar("T")


class Tally:
    """A counter that costs a dict's increment: read by an observable counter when metrics are collected.

    An SDK's `Counter.add` costs half of what emitting the whole event does.

    Args:
        meter: Where the observable counter is made.
        metric: Its name, unit and description.
        attributes: The names of the attributes, in the order of the values that `add` is given.
    """

    def __init__(self, meter: Meter, metric: MetricName, *attributes: AttributeName) -> None:
        self._attributes = attributes
        self._restart()
        after_fork_in_child(self._restart)  # the parent goes on reporting what was counted so far
        meter.create_observable_counter(metric, [self._observe], unit=metric.unit, description=metric.brief)

    def _restart(self) -> None:
        self._lock = threading.RLock()  # the handler of a signal may count, too
        self._counts: defaultdict[tuple[str, ...], int] = defaultdict(int)

    def add(self, *values: str) -> None:
        """Count one."""
        with self._lock:
            self._counts[values] += 1

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        with self._lock:
            counts = list(self._counts.items())
        return [Observation(count, dict(zip(self._attributes, values))) for values, count in counts]


class Metrics:
    """What is counted beside events: the same object for all who share a meter provider (see `metrics_of`).

    Attributes:
        events: Events tracked, by event name.
        violations: What was wrong with events, by event name and kind.
        emit_failures: Events that a provider failed to take, by signal and error.
        hook_failures: Calls of a hook that failed, by hook and error.
        token_create_duration: How long creating a token took, in seconds.
        token_verify_duration: How long verifying a token took, in seconds.
    """

    def __init__(self, meter: Meter) -> None:
        self.events = Tally(meter, EVENTS, EVENT_NAME)
        self.violations = Tally(meter, VIOLATIONS, EVENT_NAME, VIOLATION_KIND)
        self.emit_failures = Tally(meter, EMIT_FAILURES, SIGNAL, ERROR_TYPE)
        self.hook_failures = Tally(meter, HOOK_FAILURES, HOOK, ERROR_TYPE)
        self.token_create_duration = _duration(meter, TOKEN_CREATE_DURATION)
        self.token_verify_duration = _duration(meter, TOKEN_VERIFY_DURATION)


def _duration(meter: Meter, metric: MetricName) -> Histogram:
    return meter.create_histogram(
        metric,
        unit=metric.unit,
        description=metric.brief,
        explicit_bucket_boundaries_advisory=list(DURATION_BUCKETS),
    )


class ByMeterProvider(Generic[T]):
    """One object for each meter provider: two observable counters of one name would hide each other.

    Args:
        make: Makes the object with a meter.
    """

    _GLOBAL: Final = Providers()

    def __init__(self, make: Callable[[Meter], T]) -> None:
        self._make = make
        self._made: weakref.WeakKeyDictionary[MeterProvider | Providers, T] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def of(self, providers: Providers) -> T:
        """The object for where these metrics go."""
        provider = providers.meter_provider
        key = self._GLOBAL if provider is None or provider is get_meter_provider() else provider
        with self._lock:
            made = self._made.get(key)
            if made is None:
                made = self._made[key] = self._new(providers)
            return made

    def _new(self, providers: Providers) -> T:
        try:
            return self._make(providers.meter())
        except Exception:  # a provider's own code may do anything; the program goes on, unmeasured
            logger.exception("The MeterProvider gives no instruments: nothing is measured.")
            return self._make(NoOpMeter(SCOPE))


metrics_of: Final = ByMeterProvider(Metrics).of


def error_type(error: BaseException) -> str:
    """The value of `error.type`: the class, never the message, which may quote a secret."""
    return qualified_name(error)
