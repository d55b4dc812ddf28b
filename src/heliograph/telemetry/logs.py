"""The logs API of OpenTelemetry, whose module is still called private: imported here, and nowhere else."""

from opentelemetry._logs import (
    Logger,
    LoggerProvider,
    NoOpLoggerProvider,
    SeverityNumber,
    get_logger_provider,
    set_logger_provider,
)
from opentelemetry._logs._internal import ProxyLoggerProvider

__all__ = [
    "Logger",
    "LoggerProvider",
    "NoOpLoggerProvider",
    "ProxyLoggerProvider",
    "SeverityNumber",
    "get_logger_provider",
    "set_logger_provider",
]
