"""The metrics of events, hooks and tokens. All hosts of a process that use one meter provider share them.

Counts are kept in counters without locks, which observable counters read. The obvious alternative, `Counter.add` of the SDK, was rejected:
one call costs half as much as emitting the whole event does.

Threads and processes:

- `Tally.add` runs in any thread that tracks an event, and in signal handlers, which may track events too.
- The callbacks of the observable counters run in the thread that collects metrics: the SDK's periodic reader, or a
  thread that calls ``force_flush``.
- `ByMeterProvider.of` runs in any thread that makes a host, an emitter or an outbox.
- A forked child starts with counts of 0, because the parent exports the counts up to the fork. It has new locks,
  because a thread that held a lock at the fork does not exist in the child to release it.
"""

from __future__ import annotations

import itertools
import threading
import weakref
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

from heliograph.classes import qualified_name
from heliograph.runtime.fork import after_fork_in_child
from heliograph.runtime.program_errors import program_errors
from heliograph.runtime.program_failures import ProgramCode, listen
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.runtime.shared_counter import SharedCounter
from heliograph.semconv import (
    DURATION_BUCKETS,
    EMIT_FAILURES,
    ERROR_TYPE,
    EVENT_NAME,
    EVENTS,
    FAILED_CODE,
    HOOK,
    HOOK_FAILURES,
    SCOPE,
    SIGNAL,
    TOKEN_CREATE_DURATION,
    TOKEN_HANDLER,
    TOKEN_RESULT,
    TOKEN_VERIFICATIONS,
    TOKEN_VERIFY_DURATION,
    VIOLATION_KIND,
    VIOLATIONS,
    AttributeName,
    MetricName,
)
from heliograph.telemetry.providers import Providers

logger: Final = SafeLogger(SCOPE)

T = TypeVar("T")

MAX_ERROR_TYPES: Final = 100
"""The number of different values of `error.type` in one process."""
OTHER_ERROR_TYPE: Final = "_OTHER"
"""The value of `error.type` beyond that number. Source: OpenTelemetry semantic conventions, `error.type`."""


class Tally:
    """A counter in a dict, which an observable counter reads when metrics are collected.

    Args:
        meter: The meter that creates the observable counter.
        metric: The name, unit and description of the counter.
        attributes: The names of the attributes, in the order of the values that `begin` and `add` get. `None` as a value omits the
            attribute.
    """

    def __init__(self, meter: Meter, metric: MetricName, *attributes: AttributeName) -> None:
        self._attributes = attributes
        # Kept apart from `_counters`: a forked child begins with zeros for these values.
        self._begun: set[tuple[str | None, ...]] = set()
        self._reset()
        after_fork_in_child(self._reset)
        meter.create_observable_counter(metric, [self._observe], unit=metric.unit, description=metric.brief)

    def _reset(self) -> None:
        # Each step is one operation of `dict`, so threads and signal handlers share it without a lock.
        self._counters = {values: SharedCounter() for values in self._begun.copy()}

    def begin(self, *values: str | None) -> None:
        """Report a count of 0 for these values of the first attributes, until something is counted.

        An alert on the increase of a counter misses the first occurrence, if the time series begins with it.
        """
        self._begun.add(values)
        self._counters.setdefault(values, SharedCounter())

    def add(self, *values: str | None) -> None:
        """Count one occurrence with these values of the attributes."""
        counter = self._counters.get(values)
        if counter is None:
            counter = self._counters.setdefault(values, SharedCounter())  # another thread may have been faster
        counter.add()

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        # A copy: the dict must not grow while it is read.
        return [Observation(counter.value, self._named(values)) for values, counter in self._counters.copy().items()]

    def _named(self, values: tuple[str | None, ...]) -> dict[str, str]:
        return {name: value for name, value in zip(self._attributes, values) if value is not None}


class Metrics:
    """The metrics of events, hooks and tokens. All users of one meter provider share one object (see `metrics_of`).

    Args:
        meter: The meter that creates the instruments.

    Attributes:
        events: Events tracked, without those in the quarantine, by event name.
        violations: Violations of schemas, by kind and event name.
        emit_failures: Exceptions that were caught while events were emitted, by type, and by the signal whose provider raised it
            or else by the code of the program.
        hook_failures: Calls of hooks that failed, by hook and type of the exception.
        token_verifications: Verifications of tokens, by result and handler.
        token_create_duration: Time to create a token, in seconds.
        token_verify_duration: Time to verify a token, in seconds.
    """

    def __init__(self, meter: Meter) -> None:
        self.events = Tally(meter, EVENTS, EVENT_NAME)
        self.violations = Tally(meter, VIOLATIONS, VIOLATION_KIND, EVENT_NAME)
        self.emit_failures = Tally(meter, EMIT_FAILURES, SIGNAL, FAILED_CODE, ERROR_TYPE)
        for code in ProgramCode:
            self.emit_failures.begin(None, code.value)
        listen(self._count_program_failure)
        self.hook_failures = Tally(meter, HOOK_FAILURES, HOOK, ERROR_TYPE)
        self.token_verifications = Tally(meter, TOKEN_VERIFICATIONS, TOKEN_RESULT, TOKEN_HANDLER)
        self.token_create_duration = _duration_histogram(meter, TOKEN_CREATE_DURATION)
        self.token_verify_duration = _duration_histogram(meter, TOKEN_VERIFY_DURATION)

    def _count_program_failure(self, code: ProgramCode, error: BaseException) -> None:
        self.emit_failures.add(None, code.value, error_type(error))


def _duration_histogram(meter: Meter, metric: MetricName) -> Histogram:
    return meter.create_histogram(
        metric,
        unit=metric.unit,
        description=metric.brief,
        explicit_bucket_boundaries_advisory=list(DURATION_BUCKETS),
    )


class ByMeterProvider(Generic[T]):
    """Makes one object for each meter provider, and returns the same object for the same provider from then on.

    Two hosts with one provider must share their instruments: of two observable counters with one name, the SDK exports
    only one.

    Providers are held weakly, so that a provider that nobody else uses is freed together with its object.

    Args:
        make: Makes the object from a meter.
    """

    _GLOBAL: Final = Providers()
    """The key of the global provider. The provider itself cannot be the key: it is a proxy until a program sets one."""

    def __init__(self, make: Callable[[Meter], T]) -> None:
        self._make = make
        self._made: weakref.WeakKeyDictionary[MeterProvider | Providers, T] = weakref.WeakKeyDictionary()
        self._reset_lock()
        after_fork_in_child(self._reset_lock)

    def _reset_lock(self) -> None:
        # This lock guards `_made`: no two threads may make an object for one provider. It is reentrant, because code of the provider runs while it
        # is held, and may itself need the object, as a signal handler may.
        self._lock = threading.RLock()

    def of(self, providers: Providers) -> T:
        """Return the object for the meter provider of ``providers``."""
        provider = providers.meter_provider
        key = self._GLOBAL if provider is None or provider is get_meter_provider() else provider
        with self._lock:
            made = self._made.get(key)
            if made is None:
                # Not an assignment: the provider's code or a handler may have made one meanwhile.
                made = self._made.setdefault(key, self._new(providers))
            return made

    def _new(self, providers: Providers) -> T:
        try:
            return self._make(providers.meter())
        except program_errors():
            # A provider's own code may raise anything. The program continues without metrics.
            logger.exception("The MeterProvider failed to create instruments, so heliograph exports no metrics.")
            return self._make(NoOpMeter(SCOPE))


_metrics_by_provider: Final = ByMeterProvider(Metrics)


def metrics_of(providers: Providers) -> Metrics:
    """Return the metrics of events, hooks and tokens for the meter provider of ``providers``."""
    return _metrics_by_provider.of(providers)


_BUILTINS: Final = "builtins."
_error_types: Final[set[str]] = set()
_error_type_numbers: Final = itertools.count()
"""Each new value of `error.type` takes a number, in one step, so that all threads together stay below the limit."""


def error_type(error: BaseException) -> str:
    """Return the value of `error.type` for an exception: its class, never its message, which may quote a secret.

    A program may create classes without end, and each value is a time series of its own. After 100 different ones, besides those
    that are built in, it is ``_OTHER``, the value that the semantic conventions have for this.
    """
    name = qualified_name(error)
    if name.startswith(_BUILTINS):
        return name.removeprefix(_BUILTINS)
    if name not in _error_types:
        if next(_error_type_numbers) >= MAX_ERROR_TYPES:
            return OTHER_ERROR_TYPE
        _error_types.add(name)
    return name
