"""The global providers of OpenTelemetry, by signal. Each test has a process of its own, which can set each provider once."""

from __future__ import annotations

from scripts import python


def test_provider_is_found_once_it_is_set() -> None:
    """A provider that does nothing is found, too: it was set on purpose."""
    ran = python(
        """
from opentelemetry._logs import NoOpLoggerProvider
from heliograph.sdk.exporters import TelemetrySignal
from heliograph.sdk.global_providers import current_provider, find_provider, is_set, set_provider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

before = [is_set(signal) or find_provider(signal) is not None for signal in TelemetrySignal]
made = {
    TelemetrySignal.TRACES: TracerProvider(),
    TelemetrySignal.METRICS: MeterProvider(),
    TelemetrySignal.LOGS: NoOpLoggerProvider(),
}
for signal, provider in made.items():
    set_provider(signal, provider)
found = [is_set(signal) and find_provider(signal) is current_provider(signal) is made[signal] for signal in TelemetrySignal]
report(before=before, found=found)
"""
    )
    assert ran.only == {"before": [False] * 3, "found": [True] * 3}
