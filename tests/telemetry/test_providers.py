"""Providers are those handed in, else the global ones; flushing them tells the truth in time."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from opentelemetry.trace import NoOpTracerProvider

from heliograph.telemetry.providers import Providers
from recorder import Telemetry


class Flushing(NoOpTracerProvider):
    """Answers a flush as it is told to."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self.asked: list[int] = []

    def force_flush(self, timeout_millis: int) -> Any:
        self.asked.append(timeout_millis)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer(timeout_millis) if callable(self._answer) else self._answer


def test_sdk_providers_flush(telemetry: Telemetry) -> None:
    """All three say that they sent what they had."""
    assert Providers(**telemetry.providers).force_flush(5000) is True


@pytest.mark.parametrize(
    ("answer", "truth"), [(True, True), (None, True), (False, False), (RuntimeError("down"), False)]
)
def test_flush_repeats_what_the_provider_reports(telemetry: Telemetry, answer: Any, truth: bool) -> None:
    """False and an exception are a failure; no answer at all is what the API's shape allows."""
    provider = Flushing(answer)

    assert Providers(**{**telemetry.providers, "tracer_provider": provider}).force_flush(5000) is truth
    assert 0 < provider.asked[0] <= 5000


def test_flush_asks_the_other_providers_after_a_failure(telemetry: Telemetry) -> None:
    """One that fails keeps none of the others from sending."""
    first, second = Flushing(RuntimeError("down")), Flushing(True)

    flushed = Providers(tracer_provider=first, logger_provider=second).force_flush(5000)  # type: ignore[arg-type]

    assert not flushed
    assert len(second.asked) == 1


def test_flush_returns_by_the_deadline_when_a_provider_hangs() -> None:
    """A provider that is stuck is left behind, and the answer is False."""
    release = threading.Event()
    started = time.monotonic()

    assert Providers(tracer_provider=Flushing(lambda _: release.wait())).force_flush(100) is False

    assert time.monotonic() - started < 5
    release.set()


def test_provider_of_the_api_has_nothing_to_flush() -> None:
    """What has no `force_flush` holds nothing back."""
    assert Providers(tracer_provider=NoOpTracerProvider()).force_flush(5000) is True


def test_provider_handed_in_is_set(telemetry: Telemetry) -> None:
    """All three are there."""
    providers = Providers(**telemetry.providers)

    assert (providers.has_traces(), providers.has_logs(), providers.has_metrics()) == (True, True, True)


GLOBAL = """
from heliograph.telemetry.providers import Providers
from opentelemetry import metrics, trace
from opentelemetry._logs import NoOpLoggerProvider, set_logger_provider
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider

providers = Providers()
print(providers.has_traces(), providers.has_logs(), providers.has_metrics())
trace.set_tracer_provider(NoOpTracerProvider())
set_logger_provider(NoOpLoggerProvider())
metrics.set_meter_provider(NoOpMeterProvider())
print(providers.has_traces(), providers.has_logs(), providers.has_metrics())
"""


def test_global_provider_may_be_set_later() -> None:
    """The placeholders that the API has before count as none."""
    output = subprocess.run([sys.executable, "-c", GLOBAL], check=True, capture_output=True, text=True).stdout

    assert output.splitlines() == ["False False False", "True True True"]


LATER = """
from dataclasses import dataclass
import logging
from heliograph import Event, Host, Settings, hookimpl
from opentelemetry import metrics, trace
from opentelemetry._logs import set_logger_provider
from recorder import Telemetry

@dataclass
class Happened(Event):
    name = "happened"

class Plugin:
    @hookimpl
    def register_events(self):
        return [Happened]

with Host(Settings(), plugins=[Plugin()]) as host:
    host.track(Happened())
    telemetry = Telemetry()
    trace.set_tracer_provider(telemetry.tracer_provider)
    set_logger_provider(telemetry.logger_provider)
    metrics.set_meter_provider(telemetry.meter_provider)
    with trace.get_tracer("program").start_as_current_span("request"):
        host.track(Happened())
    print(len(telemetry.logs), len(telemetry.span_events), telemetry.counts("heliograph.events"))
"""


def test_host_made_before_the_global_providers_uses_them() -> None:
    """Set-up may come after the host; the counter has what was counted before."""
    program = subprocess.run(
        [sys.executable, "-W", "error", "-c", LATER],
        check=True,
        capture_output=True,
        text=True,
        cwd=__file__.rsplit("/", 2)[0],
    )

    assert program.stdout == "1 1 {('app.happened',): 2}\n"
    assert program.stderr.count("No LoggerProvider is set") == 1
