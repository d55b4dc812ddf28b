"""The three OpenTelemetry providers that telemetry goes to: those passed in, or else the global ones, set now or later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from opentelemetry.metrics import Meter, MeterProvider, get_meter_provider
from opentelemetry.trace import ProxyTracerProvider, Tracer, TracerProvider, get_tracer_provider

from heliograph.arguments import wrong_argument
from heliograph.runtime.deadline import Deadline, run_within
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.program_errors import getattr_or_none, program_errors
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCHEMA_URL, SCOPE
from heliograph.telemetry.otel_api import (
    Logger,
    LoggerProvider,
    ProxyLoggerProvider,
    ProxyMeterProvider,
    get_logger_provider,
)
from heliograph.version import __version__

_METHODS: Final = {"tracer_provider": "get_tracer", "logger_provider": "get_logger", "meter_provider": "get_meter"}
"""The method of each provider that heliograph needs."""

_failures: Final = LimitedLog(SafeLogger(SCOPE))


@dataclass(frozen=True, kw_only=True)
class Providers:
    """The providers that telemetry goes to.

    A global provider is looked up each time it is needed, since a program may set it after it made a host. The tracer of a provider is
    kept: the SDK takes long to find it, and takes a lock. A signal handler that tracks an event in the middle of that, or a child that
    was forked in it, would wait for ever.

    Threads: any thread may call each method. The tracer and its provider are kept by one assignment.

    Attributes:
        tracer_provider: The provider for spans; `None` means the global one.
        logger_provider: The provider for log records; `None` means the global one.
        meter_provider: The provider for metrics; `None` means the global one.

    Raises:
        TypeError: One of them is something else.
    """

    tracer_provider: TracerProvider | None = None
    logger_provider: LoggerProvider | None = None
    meter_provider: MeterProvider | None = None
    # Its only entry is the provider that was asked last, with its tracer.
    _known: list[tuple[object, Tracer]] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, method in _METHODS.items():
            provider = getattr(self, name)
            if provider is not None and (isinstance(provider, type) or not callable(getattr_or_none(provider, method))):
                raise wrong_argument(name, provider, f"a provider of OpenTelemetry, with a method {method}()")

    def tracer(self) -> Tracer:
        """Return the tracer of heliograph's scope. It records nothing while no provider is set."""
        provider = self.tracer_provider or get_tracer_provider()
        for known, tracer in self._known:
            if known is provider:
                return tracer
        found = provider.get_tracer(SCOPE, __version__, SCHEMA_URL)
        # The tracers of a proxy would add a call to every later span.
        if not isinstance(provider, ProxyTracerProvider):
            self._known[:] = [(provider, found)]
        return found

    def logger(self) -> Logger:
        """Return the logger of heliograph's scope. It emits nothing while no provider is set."""
        return (self.logger_provider or get_logger_provider()).get_logger(SCOPE, __version__, SCHEMA_URL)

    def meter(self) -> Meter:
        """Return the meter of heliograph's scope. It measures nothing while no provider is set."""
        return (self.meter_provider or get_meter_provider()).get_meter(SCOPE, __version__, SCHEMA_URL)

    def has_traces(self) -> bool:
        """Return True if a provider for spans is set, even one that does nothing: it was set on purpose."""
        return not isinstance(self.tracer_provider or get_tracer_provider(), ProxyTracerProvider)

    def has_logs(self) -> bool:
        """Return True if a provider for log records is set, even one that does nothing."""
        return not isinstance(self.logger_provider or get_logger_provider(), ProxyLoggerProvider)

    def has_metrics(self) -> bool:
        """Return True if a provider for metrics is set, even one that does nothing."""
        return not isinstance(self.meter_provider or get_meter_provider(), ProxyMeterProvider)

    def has_any(self) -> bool:
        """Return True if a provider for any signal is set."""
        return self.has_traces() or self.has_logs() or self.has_metrics()

    def force_flush(self, timeout_millis: float) -> bool:
        """Ask each provider to send the telemetry that it holds.

        It returns by the deadline, whatever a provider does: a provider that hangs is abandoned in a daemon thread.

        Returns:
            True if every provider reported success in time.
        """
        return run_within(timeout_millis, lambda: self._flush_each(timeout_millis)) is True

    def _flush_each(self, timeout_millis: float) -> bool:
        deadline = Deadline(timeout_millis)
        providers = (
            self.tracer_provider or get_tracer_provider(),
            self.logger_provider or get_logger_provider(),
            self.meter_provider or get_meter_provider(),
        )
        # A list, not a generator: all() would stop at the first failure, and the other providers would not be asked.
        # At least 1 ms: some providers take 0 for "no timeout".
        results = [_flush(provider, max(1, int(deadline.remaining()))) for provider in providers]
        return all(results)


def is_disabled(environ: Mapping[str, str]) -> bool:
    """Return True if ``OTEL_SDK_DISABLED`` switches all telemetry off."""
    return environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def _flush(provider: object, timeout_millis: int) -> bool:
    try:
        # This method is not part of the API: only an SDK has something to send.
        flush = getattr(provider, "force_flush", None)
        return flush is None or flush(timeout_millis) is not False
    except program_errors() as error:
        # A provider's own code may raise anything.
        kind = (type(provider), type(error))
        _failures.log(kind, "A provider failed to flush. The telemetry that it holds may be lost.", error=error)
        return False
