"""Events, failures and durations are counted once, whoever shares the meter provider."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from heliograph import Event, hookimpl
from heliograph.semconv import DURATION_BUCKETS, EVENT_NAME, EVENTS, SCOPE
from heliograph.telemetry.metrics import Tally, error_type, metrics_of
from heliograph.telemetry.providers import Providers
from recorder import Telemetry


@dataclass
class FirstEvent(Event):
    name = "first"


@dataclass
class SecondEvent(Event):
    name = "second"


class Plugin:
    @hookimpl
    def register_events(self) -> list[type]:
        return [FirstEvent, SecondEvent]


def test_events_are_counted_by_name(telemetry: Telemetry) -> None:
    """The metric has the event's name and nothing of what it carries."""
    with telemetry.host(Plugin()) as host:
        host.track(FirstEvent(actor={"id": "root"}))
        host.track(FirstEvent())
        host.track(SecondEvent())

        metric = telemetry.metrics()["heliograph.events"]

    assert (metric.unit, metric.data.is_monotonic) == ("{event}", True)  # type: ignore[union-attr]
    assert [dict(point.attributes or {}) for point in metric.data.data_points] == [
        {"otel.event.name": "app.first"},
        {"otel.event.name": "app.second"},
    ]
    assert telemetry.counts("heliograph.events") == {("app.first",): 2, ("app.second",): 1}


def test_hosts_that_share_a_meter_provider_share_the_counters(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture
) -> None:
    """No instrument is made twice, of which the SDK would warn, and no count hides another."""
    warnings.set_level("WARNING")
    with telemetry.host(Plugin()) as one, telemetry.host(Plugin()) as other:
        one.track(FirstEvent())
        other.track(FirstEvent())

    assert telemetry.counts("heliograph.events") == {("app.first",): 2}
    assert warnings.records == []


def test_hosts_with_meter_providers_of_their_own_count_apart() -> None:
    """Nothing is shared across providers."""
    one, other = Telemetry(), Telemetry()
    with one.host(Plugin()) as first, other.host(Plugin()):
        first.track(FirstEvent())

    assert one.counts("heliograph.events") == {("app.first",): 1}
    assert other.counts("heliograph.events") == {}
    one.shutdown()
    other.shutdown()


def test_metrics_of_one_provider_are_one_object() -> None:
    """Also of one that cannot be told apart from its equals by what it does."""
    provider = NoOpMeterProvider()

    assert metrics_of(Providers(meter_provider=provider)) is metrics_of(Providers(meter_provider=provider))
    assert metrics_of(Providers(meter_provider=provider)) is not metrics_of(
        Providers(meter_provider=NoOpMeterProvider())
    )
    assert metrics_of(Providers()) is metrics_of(Providers())


def test_provider_that_nobody_uses_any_more_is_let_go() -> None:
    """The counters keep no provider alive."""
    provider = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    metrics_of(Providers(meter_provider=provider)).events.add("app.first")
    provider.shutdown()
    reference = weakref.ref(provider)

    del provider
    gc.collect()

    assert reference() is None


def test_tally_counts_every_thread(telemetry: Telemetry) -> None:
    """No increment is lost."""
    tally = Tally(telemetry.meter_provider.get_meter(SCOPE), EVENTS, EVENT_NAME)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: [tally.add("app.first") for _ in range(5_000)], range(4)))

    assert telemetry.counts("heliograph.events") == {("app.first",): 20_000}


def test_durations_have_buckets_from_an_hmac_to_a_service_far_away(telemetry: Telemetry) -> None:
    """The SDK's default buckets are for milliseconds, and would hold all in one."""
    with telemetry.host() as host:
        host.call(host.create_token, "root")

    metric = telemetry.metrics()["heliograph.token.create.duration"]
    [point] = metric.data.data_points
    assert metric.unit == "s"
    assert tuple(point.explicit_bounds) == DURATION_BUCKETS  # type: ignore[union-attr]
    assert 0 < point.sum < 60  # type: ignore[union-attr]


def test_error_type_is_the_class_alone() -> None:
    """A message may quote a secret."""
    assert error_type(ValueError("dstok_secret")) == "builtins.ValueError"
