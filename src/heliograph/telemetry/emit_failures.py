"""Events that a provider failed to emit: each is counted, and the first of each kind is logged.

Threads: any thread may report a failure, and so may a signal handler.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE
from heliograph.settings import Signal
from heliograph.telemetry.metrics import Metrics, error_type

logger: Final = SafeLogger(SCOPE)


class EmitFailures:
    """Counts and logs the failures of providers.

    Args:
        metrics: The counters.
        signals: The signals that events are emitted to. Each is observed as 0 from the start.
    """

    def __init__(self, metrics: Metrics, signals: Iterable[Signal]) -> None:
        self._counter = metrics.emit_failures
        self._log = LimitedLog(logger)
        for signal in signals:
            self._counter.begin(signal.value)

    def report(self, signal: Signal, error: BaseException) -> None:
        """Count a failure to emit an event as this signal, and log it."""
        kind = error_type(error)
        self._counter.add(signal.value, None, kind)
        self._log.log((signal, kind), "A provider failed to emit an event as %r: %s", signal.value, kind, error=error)
