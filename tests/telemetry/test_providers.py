"""Providers are those passed in, or else the global ones. Flushing them reports the truth, in time."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NoOpTracerProvider, Tracer

from heliograph import Event, Settings
from heliograph.telemetry.providers import Providers
from recorder import Telemetry
from threads import LIMIT_SECONDS, result_in_time


class Flushing(NoOpTracerProvider):
    """A provider whose `force_flush` returns, raises or calls the given result."""

    def __init__(self, result: Any) -> None:
        self._result = result
        self.timeouts: list[int] = []

    def force_flush(self, timeout_millis: int) -> Any:
        self.timeouts.append(timeout_millis)
        if isinstance(self._result, Exception):
            raise self._result
        return self._result(timeout_millis) if callable(self._result) else self._result


class FlushingLogs(Flushing):
    """The same for log records."""

    get_logger = Flushing.get_tracer


@pytest.mark.parametrize("name", ["tracer_provider", "logger_provider", "meter_provider"])
@pytest.mark.parametrize("value", [0, "otlp", object(), NoOpTracerProvider, TracerProvider, {}])
def test_argument_that_is_no_provider_is_an_error_at_once(name: str, value: object) -> None:
    """A class is none, either: an object of it was meant."""
    with pytest.raises(
        TypeError, match=rf"the argument `{name}` must be a provider of OpenTelemetry, with a method get_"
    ):
        Providers(**{name: value})  # type: ignore[arg-type]


class Locking(NoOpTracerProvider):
    """A provider with a lock that is not reentrant, like the SDK's."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def get_tracer(self, *args: Any, **kwargs: Any) -> Tracer:
        assert self.lock.acquire(blocking=False), "this thread would wait for itself"
        try:
            return super().get_tracer(*args, **kwargs)
        finally:
            self.lock.release()


def test_tracer_is_found_once_for_each_provider() -> None:
    """A signal handler that interrupts the program's own `get_tracer` must not wait for the same lock."""
    provider = Locking()
    providers = Providers(tracer_provider=provider)
    tracer = providers.tracer()

    with provider.lock:
        assert providers.tracer() is tracer


@contextmanager
def no_tracers_of(provider: Any) -> Iterator[None]:
    """Make `get_tracer` fail. Where a signal interrupts it, it would wait for ever."""
    provider.get_tracer = None
    try:
        yield
    finally:
        del provider.get_tracer


def test_event_of_a_signal_handler_that_interrupts_get_tracer(telemetry: Telemetry) -> None:
    """The event of the handler becomes a span, as each event."""

    @dataclass
    class Tick(Event):
        name = "tick"

    with telemetry.host(settings=Settings(signals="span"), events=[Tick]) as host:
        host.track(Tick())
        with no_tracers_of(telemetry.tracer_provider):
            host.track(Tick())
    assert [span.name for span in telemetry.spans] == ["app.tick", "app.tick"]


def test_sdk_providers_flush(telemetry: Telemetry) -> None:
    """A flush is True if all three providers report success."""
    assert Providers(**telemetry.providers).force_flush(5000) is True


@pytest.mark.parametrize(
    ("result", "expected"), [(True, True), (None, True), (False, False), (RuntimeError("down"), False)]
)
def test_flush_returns_what_the_provider_reports(telemetry: Telemetry, result: Any, expected: bool) -> None:
    """False and an exception are failures. `None` is a success: some providers return nothing."""
    provider = Flushing(result)

    assert Providers(**{**telemetry.providers, "tracer_provider": provider}).force_flush(5000) is expected
    assert 0 < provider.timeouts[0] <= 5000


def test_flush_asks_every_provider_after_a_failure(telemetry: Telemetry) -> None:
    """A provider that fails does not keep the others from sending."""
    first, second = Flushing(RuntimeError("down")), FlushingLogs(True)

    flushed = Providers(tracer_provider=first, logger_provider=second).force_flush(5000)  # type: ignore[arg-type]

    assert not flushed
    assert len(second.timeouts) == 1


def test_flush_returns_by_the_deadline_when_a_provider_hangs() -> None:
    """The provider is abandoned, and the result is False."""
    release = threading.Event()
    providers = Providers(tracer_provider=Flushing(lambda _: release.wait(2 * LIMIT_SECONDS)))

    assert result_in_time(lambda: providers.force_flush(100)) is False

    release.set()


def test_provider_without_force_flush_has_nothing_to_flush() -> None:
    """A provider of the API alone holds no telemetry."""
    assert Providers(tracer_provider=NoOpTracerProvider()).force_flush(5000) is True


def test_provider_gets_a_timeout_above_zero_at_the_deadline() -> None:
    """Some providers take a timeout of 0 for no timeout at all."""
    provider = Flushing(True)

    Providers(tracer_provider=provider)._flush_each(0)

    assert provider.timeouts == [1]


def test_provider_that_was_passed_in_is_set(telemetry: Telemetry) -> None:
    """Each of the three signals has the provider that was passed in."""
    providers = Providers(**telemetry.providers)

    assert (providers.has_traces(), providers.has_logs(), providers.has_metrics()) == (True, True, True)


GLOBAL = """
from heliograph.telemetry.providers import Providers
from opentelemetry import metrics, trace
from opentelemetry._logs import NoOpLoggerProvider, set_logger_provider
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NoOpTracerProvider

providers = Providers()
of_the_proxy = providers.tracer()
print(providers.has_traces(), providers.has_logs(), providers.has_metrics())
trace.set_tracer_provider(NoOpTracerProvider())
set_logger_provider(NoOpLoggerProvider())
metrics.set_meter_provider(NoOpMeterProvider())
print(providers.has_traces(), providers.has_logs(), providers.has_metrics())
print(providers.tracer() is of_the_proxy)
"""


def test_global_provider_can_be_set_later() -> None:
    """The proxies of the API count as no provider, while a provider that does nothing counts as one."""
    output = subprocess.run(
        [sys.executable, "-c", GLOBAL], check=True, capture_output=True, text=True, timeout=LIMIT_SECONDS
    ).stdout

    assert output.splitlines() == ["False False False", "True True True", "False"]


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


def test_host_uses_global_providers_that_are_set_after_it_was_made() -> None:
    """The counter includes the events that were tracked before."""
    program = subprocess.run(
        [sys.executable, "-W", "error", "-c", LATER],
        check=True,
        capture_output=True,
        text=True,
        cwd=__file__.rsplit("/", 2)[0],
        timeout=LIMIT_SECONDS,
    )

    assert program.stdout == "1 1 {('app.happened',): 2}\n"
    assert program.stderr.count("No LoggerProvider is set") == 1
