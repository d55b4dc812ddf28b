"""Names that OpenTelemetry's API keeps in private modules. No other module of heliograph imports those modules.

The logs API is stable as a specification, and still in a private Python module. The two proxy classes are the only way to
learn that a program has not set a global provider yet. `entry_points` is that of `importlib.metadata`, with a memory for the
process, in which the SDK looks its parts up, too. Without it, each lookup reads the files of all installed distributions.
"""

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
from opentelemetry.util._importlib_metadata import entry_points

__all__ = [
    "SUPPRESS_INSTRUMENTATION",
    "Logger",
    "LoggerProvider",
    "NoOpLoggerProvider",
    "ProxyLoggerProvider",
    "ProxyMeterProvider",
    "SeverityNumber",
    "entry_points",
    "get_logger_provider",
    "set_logger_provider",
]
