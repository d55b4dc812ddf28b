"""What OpenTelemetry's API keeps in modules that it still calls private: imported here, and nowhere else."""

from opentelemetry._logs import (
    Logger,
    LoggerProvider,
    NoOpLoggerProvider,
    SeverityNumber,
    get_logger_provider,
    set_logger_provider,
)
from opentelemetry._logs._internal import ProxyLoggerProvider
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY as SUPPRESS_INSTRUMENTATION
from opentelemetry.metrics._internal import _ProxyMeterProvider as ProxyMeterProvider

__all__ = [
    "SUPPRESS_INSTRUMENTATION",
    "Logger",
    "LoggerProvider",
    "NoOpLoggerProvider",
    "ProxyLoggerProvider",
    "ProxyMeterProvider",
    "SeverityNumber",
    "get_logger_provider",
    "set_logger_provider",
]
