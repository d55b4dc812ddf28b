"""The three providers that telemetry goes to: those handed in, else the global ones, set now or later."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from opentelemetry.metrics import Meter, MeterProvider, get_meter_provider
from opentelemetry.trace import ProxyTracerProvider, Tracer, TracerProvider, get_tracer_provider

from heliograph.runtime.deadline import Deadline, run_within
from heliograph.semconv import SCOPE
from heliograph.telemetry.otel_api import (
    Logger,
    LoggerProvider,
    ProxyLoggerProvider,
    ProxyMeterProvider,
    get_logger_provider,
)
from heliograph.version import __version__

logger: Final = logging.getLogger(SCOPE)


@dataclass(frozen=True, kw_only=True)
class Providers:
    """Where telemetry goes.

    Attributes:
        tracer_provider: For spans; `None` is the global one.
        logger_provider: For log records; `None` is the global one.
        meter_provider: For metrics; `None` is the global one.
    """

    tracer_provider: TracerProvider | None = None
    logger_provider: LoggerProvider | None = None
    meter_provider: MeterProvider | None = None

    def tracer(self) -> Tracer:
        """The tracer of our scope; it records nothing until a provider is set."""
        return (self.tracer_provider or get_tracer_provider()).get_tracer(SCOPE, __version__)

    def logger(self) -> Logger:
        """The logger of our scope; it emits nothing until a provider is set."""
        return (self.logger_provider or get_logger_provider()).get_logger(SCOPE, __version__)

    def meter(self) -> Meter:
        """The meter of our scope; it measures nothing until a provider is set."""
        return (self.meter_provider or get_meter_provider()).get_meter(SCOPE, __version__)

    def has_traces(self) -> bool:
        """Whether somebody set up traces: a provider that does nothing, set on purpose, counts."""
        return not isinstance(self.tracer_provider or get_tracer_provider(), ProxyTracerProvider)

    def has_logs(self) -> bool:
        """Whether somebody set up logs."""
        return not isinstance(self.logger_provider or get_logger_provider(), ProxyLoggerProvider)

    def has_metrics(self) -> bool:
        """Whether somebody set up metrics."""
        return not isinstance(self.meter_provider or get_meter_provider(), ProxyMeterProvider)

    def force_flush(self, timeout_millis: float) -> bool:
        """Ask each provider to send what it holds; True if all of them say, within the time, that they did.

        It returns by the deadline, whatever a provider does: one that is stuck is left to a daemon thread.
        """
        return run_within(timeout_millis, lambda: self._flush_each(timeout_millis)) is True

    def _flush_each(self, timeout_millis: float) -> bool:
        deadline = Deadline(timeout_millis)
        providers = (
            self.tracer_provider or get_tracer_provider(),
            self.logger_provider or get_logger_provider(),
            self.meter_provider or get_meter_provider(),
        )
        answers = [_flush(provider, max(1, int(deadline.remaining()))) for provider in providers]
        return all(answers)


def _flush(provider: object, timeout_millis: int) -> bool:
    try:
        flush = getattr(provider, "force_flush", None)  # the API knows none: only an SDK has something to send
        return flush is None or flush(timeout_millis) is not False
    except Exception:  # a provider's own code may do anything
        logger.exception("A provider failed to flush; what it held may be lost.")
        return False
