"""The owner of the global provider of each signal in this process: heliograph, another library, or nobody yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from opentelemetry.metrics import get_meter_provider
from opentelemetry.trace import get_tracer_provider

from heliograph.errors import qualified_name
from heliograph.sdk.exporters import TelemetrySignal
from heliograph.sdk.providers import OURS
from heliograph.telemetry.otel_api import get_logger_provider
from heliograph.telemetry.providers import Providers


@dataclass(frozen=True, kw_only=True)
class Owner:
    """The owner of a provider.

    Attributes:
        signal: The signal.
        owner: ``heliograph``, the class of a provider that another part of the program has set, or the empty text if none is set.
    """

    signal: TelemetrySignal
    owner: str


def find_owners() -> list[Owner]:
    """Return the owner of each global provider of this process."""
    providers = Providers()
    is_set = {
        TelemetrySignal.TRACES: providers.has_traces(),
        TelemetrySignal.LOGS: providers.has_logs(),
        TelemetrySignal.METRICS: providers.has_metrics(),
    }
    return [
        Owner(signal=signal, owner=_name_of(_GETTERS[signal]()) if is_set[signal] else "") for signal in TelemetrySignal
    ]


def _name_of(provider: object) -> str:
    return "heliograph" if isinstance(provider, OURS) else qualified_name(provider)


_GETTERS: Final[Mapping[TelemetrySignal, Callable[[], object]]] = {
    TelemetrySignal.TRACES: get_tracer_provider,
    TelemetrySignal.LOGS: get_logger_provider,
    TelemetrySignal.METRICS: get_meter_provider,
}
