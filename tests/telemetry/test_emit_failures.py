"""Failures of a provider are counted by signal and kind, and the first of each kind is logged."""

from __future__ import annotations

import pytest

from heliograph import Signal
from heliograph.telemetry.emit_failures import EmitFailures
from heliograph.telemetry.metrics import metrics_of
from heliograph.telemetry.providers import Providers
from recorder import Telemetry


@pytest.fixture
def failures(telemetry: Telemetry) -> EmitFailures:
    """Failures of two signals, with metrics that are read."""
    metrics = metrics_of(Providers(meter_provider=telemetry.meter_provider))
    return EmitFailures(metrics, [Signal.LOG, Signal.SPAN])


@pytest.mark.usefixtures("failures")
def test_each_signal_is_observed_from_the_start(telemetry: Telemetry) -> None:
    """An alert on the first failure needs the 0 before that."""
    zeros = telemetry.zeros("heliograph.emit.failures")

    assert {("log",), ("span",)} <= zeros
    assert ("span_event",) not in zeros


def test_failures_are_counted_by_signal_and_kind(
    failures: EmitFailures, telemetry: Telemetry, warnings: pytest.LogCaptureFixture
) -> None:
    """The message of the exception is in neither: it may have private values."""
    for error in (ValueError("secret"), ValueError("secret"), OSError("secret")):
        failures.report(Signal.LOG, error)
    failures.report(Signal.SPAN, ValueError("secret"))

    assert telemetry.counts("heliograph.emit.failures") == {
        ("ValueError", "log"): 2,
        ("OSError", "log"): 1,
        ("ValueError", "span"): 1,
    }
    assert [record.getMessage() for record in warnings.records] == [
        "A provider failed to emit an event as 'log': ValueError",
        "A provider failed to emit an event as 'log': OSError",
        "A provider failed to emit an event as 'span': ValueError",
    ]
