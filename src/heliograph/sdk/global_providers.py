"""OpenTelemetry's global providers, by signal. A process can set each of them only once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from opentelemetry.metrics import get_meter_provider, set_meter_provider
from opentelemetry.trace import get_tracer_provider, set_tracer_provider
from typing_extensions import assert_never

from heliograph.sdk.exporters import TelemetrySignal
from heliograph.telemetry.otel_api import get_logger_provider, set_logger_provider
from heliograph.telemetry.providers import Providers

_PROVIDERS: Final[Mapping[TelemetrySignal, Callable[[], object]]] = {
    TelemetrySignal.TRACES: get_tracer_provider,
    TelemetrySignal.LOGS: get_logger_provider,
    TelemetrySignal.METRICS: get_meter_provider,
}

_SETTERS: Final[Mapping[TelemetrySignal, Callable[[Any], None]]] = {
    TelemetrySignal.TRACES: set_tracer_provider,
    TelemetrySignal.LOGS: set_logger_provider,
    TelemetrySignal.METRICS: set_meter_provider,
}


def current_provider(signal: TelemetrySignal) -> object:
    """Return the global provider of a signal, or the proxy that OpenTelemetry has while none is set."""
    return _PROVIDERS[signal]()


def find_provider(signal: TelemetrySignal) -> object | None:
    """Return the global provider of a signal, or `None` if none is set."""
    return current_provider(signal) if is_set(signal) else None


def is_set(signal: TelemetrySignal) -> bool:
    """Return True if the global provider of a signal is set, even one that does nothing."""
    providers = Providers()
    match signal:
        case TelemetrySignal.TRACES:
            return providers.has_traces()
        case TelemetrySignal.LOGS:
            return providers.has_logs()
        case TelemetrySignal.METRICS:
            return providers.has_metrics()
        case _:
            assert_never(signal)


def set_provider(signal: TelemetrySignal, provider: object) -> None:
    """Set the global provider of a signal that has none."""
    _SETTERS[signal](provider)
