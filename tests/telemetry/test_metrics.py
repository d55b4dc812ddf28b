"""Events, failures and durations are counted once for each meter provider, by any thread, and again in a forked child."""

from __future__ import annotations

import gc
import itertools
import os
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.metrics import CallbackOptions, Meter, NoOpMeterProvider, Observation
from opentelemetry.metrics import _internal as metrics_internal
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from heliograph import Deprecated, Event
from heliograph.runtime.program_failures import ProgramCode
from heliograph.schema.read.validation import ViolationKind
from heliograph.semconv import DURATION_BUCKETS, EVENT_NAME, EVENTS, OWN_EVENTS, SCOPE
from heliograph.telemetry import metrics
from heliograph.telemetry.metrics import ByMeterProvider, Tally, error_type, metrics_of
from heliograph.telemetry.providers import Providers
from recorder import Telemetry
from registrar import Registrar
from threads import LIMIT_SECONDS, result_in_time

TESTS = Path(__file__).parent.parent


@dataclass
class FirstEvent(Event):
    name = "first"


@dataclass
class SecondEvent(Event):
    name = "second"


PLUGIN = Registrar(FirstEvent, SecondEvent)


def test_events_are_counted_by_name(telemetry: Telemetry) -> None:
    """The name of the event is the only attribute of the metric."""
    with telemetry.host(PLUGIN) as host:
        host.track(FirstEvent(actor={"id": "root"}))
        host.track(FirstEvent())
        host.track(SecondEvent())

        metric = telemetry.metrics()["heliograph.events"]

    assert (metric.unit, metric.data.is_monotonic) == ("{event}", True)  # type: ignore[union-attr]
    counted = [dict(point.attributes or {}) for point in metric.data.data_points if point.value]  # type: ignore[union-attr]
    assert counted == [{"otel.event.name": "app.first"}, {"otel.event.name": "app.second"}]
    assert telemetry.counts("heliograph.events") == {("app.first",): 2, ("app.second",): 1}


def test_counters_begin_at_zero(telemetry: Telemetry) -> None:
    """Each registered event and each kind of failure has a series: an alert on an increase would miss the first failure of a new one."""
    with telemetry.host(PLUGIN):
        own = {(name,) for name in OWN_EVENTS}
        assert telemetry.zeros("heliograph.events") == {("app.first",), ("app.second",)} | own
        assert telemetry.zeros("heliograph.event.violations") == {(kind.value,) for kind in ViolationKind}
        assert telemetry.zeros("heliograph.emit.failures") == {
            *[("log",), ("span_event",)],
            *[(code.value,) for code in ProgramCode],
        }
        assert telemetry.zeros("heliograph.hook.failures") == {("register_events",), ("startup",), ("track_event",)}


def test_renamed_event_begins_at_zero_under_both_names(telemetry: Telemetry) -> None:
    """Both names have a series, because the event is emitted under both."""

    @dataclass
    class MovedEvent(Event, deprecated=Deprecated(renamed_to="app.gone", emit_both=True)):
        name = "moved"

    with telemetry.host(Registrar(MovedEvent)):
        zeros = telemetry.zeros("heliograph.events")

    assert zeros == {("app.moved",), ("app.gone",)} | {(name,) for name in OWN_EVENTS}


def test_hosts_that_share_a_meter_provider_share_the_counters(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture
) -> None:
    """No instrument is created twice: the SDK would warn, and export the counts of one of them only."""
    warnings.set_level("WARNING")
    with telemetry.host(PLUGIN) as one, telemetry.host(PLUGIN) as other:
        one.track(FirstEvent())
        other.track(FirstEvent())

    assert telemetry.counts("heliograph.events") == {("app.first",): 2}
    assert warnings.records == []


def test_hosts_with_different_meter_providers_count_separately() -> None:
    """An event of one host is in the metrics of its own provider alone."""
    one, other = Telemetry(), Telemetry()
    with one.host(PLUGIN) as first, other.host(PLUGIN):
        first.track(FirstEvent())

    assert one.counts("heliograph.events") == {("app.first",): 1}
    assert other.counts("heliograph.events") == {}
    one.shutdown()
    other.shutdown()


def test_one_provider_has_one_metrics_object() -> None:
    """Providers are compared by identity, also those that do nothing."""
    provider = NoOpMeterProvider()

    assert metrics_of(Providers(meter_provider=provider)) is metrics_of(Providers(meter_provider=provider))
    assert metrics_of(Providers(meter_provider=provider)) is not metrics_of(
        Providers(meter_provider=NoOpMeterProvider())
    )
    assert metrics_of(Providers()) is metrics_of(Providers())


def test_unused_provider_is_freed() -> None:
    """The metrics of a provider do not keep it alive."""
    provider = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    metrics_of(Providers(meter_provider=provider)).events.add("app.first")
    provider.shutdown()
    reference = weakref.ref(provider)

    del provider
    gc.collect()

    assert reference() is None


class Slow(str):
    """An attribute value during whose hash other threads run: in the middle of reading and of writing a count."""

    __slots__ = ()

    def __hash__(self) -> int:
        time.sleep(0)
        return super().__hash__()


def test_tally_loses_no_count_of_any_thread(telemetry: Telemetry) -> None:
    """To read a count, to add one and to write it back is one step."""
    tally = Tally(telemetry.meter_provider.get_meter(SCOPE), EVENTS, EVENT_NAME)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: [tally.add(Slow("app.first")) for _ in range(500)], range(4)))

    assert telemetry.counts("heliograph.events") == {("app.first",): 2_000}


class Interrupting(str):
    """An attribute value whose hash counts another event, as a signal handler may do in the middle of `Tally.add`."""

    __slots__ = ("interrupt",)

    def __hash__(self) -> int:
        self.interrupt()
        return super().__hash__()


def test_tally_can_be_used_by_a_signal_handler_that_interrupts_it(telemetry: Telemetry) -> None:
    """The handler runs in the interrupted thread: it must not wait for itself."""
    tally = Tally(telemetry.meter_provider.get_meter(SCOPE), EVENTS, EVENT_NAME)
    value = Interrupting("app.first")
    value.interrupt = lambda: tally.add("app.second")
    result_in_time(lambda: tally.add(value))

    value.interrupt = lambda: None
    counts = telemetry.counts("heliograph.events")
    assert counts["app.first",] == 1
    assert counts["app.second",] >= 1


def test_tally_can_count_while_it_is_observed(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dict must not grow while it is iterated over: the observation is made from a copy."""
    tally = Tally(telemetry.meter_provider.get_meter(SCOPE), EVENTS, EVENT_NAME)
    tally.add("app.first")

    def observation(count: int, attributes: dict[str, str]) -> Observation:
        tally.add("app.second")  # in place of another thread, or of a signal handler
        return Observation(count, attributes)

    monkeypatch.setattr(metrics, "Observation", observation)

    assert list(tally._observe(CallbackOptions())) == [Observation(1, {"otel.event.name": "app.first"})]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_forked_child_counts_from_zero() -> None:
    """The parent goes on to export the counts up to the fork. A lock that a thread held at the fork does not block the child."""
    output = subprocess.run(
        [sys.executable, "-c", FORK], check=True, capture_output=True, text=True, timeout=60, cwd=TESTS
    ).stdout

    assert output.splitlines() == ["child {('in child',): 1} True", "parent {('before',): 2}"]


FORK = """
import os, sys, threading
from heliograph.semconv import EVENT_NAME, EVENTS
from heliograph.telemetry.metrics import ByMeterProvider, Tally
from heliograph.telemetry.providers import Providers
from recorder import Telemetry

telemetry = Telemetry()
tally = Tally(telemetry.meter_provider.get_meter("tests"), EVENTS, EVENT_NAME)
shared = ByMeterProvider(lambda meter: meter)
tally.add("before")
tally.add("before")

held = threading.Event()
def hold_lock():
    with shared._lock:
        held.set()
        threading.Event().wait(30)
threading.Thread(target=hold_lock, daemon=True).start()
held.wait()

pid = os.fork()
if not pid:
    tally.add("in child")
    made = shared.of(Providers(meter_provider=telemetry.meter_provider))
    print("child", telemetry.counts("heliograph.events"), made is not None, flush=True)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
print("parent", {values: counter.value for values, counter in tally._counters.items()}, flush=True)
os._exit(0)
"""


# One object for each provider


def test_global_provider_and_no_provider_are_the_same_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without a provider and one to which the global provider was passed share their metrics."""
    provider = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    by_provider = ByMeterProvider(lambda meter: object())

    before = by_provider.of(Providers())
    monkeypatch.setattr(metrics_internal, "_METER_PROVIDER", provider)

    assert by_provider.of(Providers(meter_provider=provider)) is by_provider.of(Providers()) is before
    provider.shutdown()


def test_threads_that_ask_at_once_get_one_object(telemetry: Telemetry) -> None:
    """The object is made once, although making it takes time."""
    barrier = threading.Barrier(4, timeout=LIMIT_SECONDS)

    def make(meter: object) -> object:
        time.sleep(0.01)  # lets the other threads run
        return object()

    by_provider = ByMeterProvider(make)

    def ask(_: int) -> object:
        barrier.wait(30)
        return by_provider.of(Providers(meter_provider=telemetry.meter_provider))

    with ThreadPoolExecutor(4) as threads:
        assert len(set(map(id, threads.map(ask, range(4))))) == 1


def test_provider_may_need_the_metrics_while_they_are_made() -> None:
    """A provider may make a host, or be interrupted by the handler of a signal that does. All get the same object."""
    found: list[object] = []

    class Nested(NoOpMeterProvider):
        def get_meter(self, *args: Any, **kwargs: Any) -> Meter:
            if not found:
                found.append(None)
                found.append(metrics_of(providers))
            return super().get_meter(*args, **kwargs)

    providers = Providers(meter_provider=Nested())

    made = result_in_time(lambda: metrics_of(providers))
    assert found == [None, made]
    assert metrics_of(providers) is made


def test_provider_that_fails_measures_nothing(warnings: pytest.LogCaptureFixture) -> None:
    """The program goes on, with a log line instead of metrics."""

    class Failing(NoOpMeterProvider):
        def get_meter(self, *args: object, **kwargs: object) -> Meter:
            raise RuntimeError("no meter")

    unmeasured = metrics_of(Providers(meter_provider=Failing()))

    unmeasured.events.add("app.first")
    unmeasured.token_create_duration.record(1.0)
    assert "The MeterProvider failed to create instruments" in warnings.text


def test_durations_have_explicit_buckets_in_seconds(telemetry: Telemetry) -> None:
    """The default buckets of the SDK are made for milliseconds: all durations would be in one of them."""
    with telemetry.host() as host:
        host.call(host.create_token, "root")

    metric = telemetry.metrics()["heliograph.token.create.duration"]
    [point] = metric.data.data_points
    assert metric.unit == "s"
    assert tuple(point.explicit_bounds) == DURATION_BUCKETS  # type: ignore[union-attr]
    assert 0 < point.sum < 60  # type: ignore[union-attr]


def forget_error_types(monkeypatch: pytest.MonkeyPatch, known: set[str] | None = None) -> None:
    """Begin again to count the values of `error.type`, with this empty set for those that are known."""
    monkeypatch.setattr(metrics, "_error_types", set() if known is None else known)
    monkeypatch.setattr(metrics, "_error_type_numbers", itertools.count())


def test_number_of_error_types_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may create classes without end, and each would be a time series. Those that are known stay."""
    forget_error_types(monkeypatch)
    names = [error_type(type(f"Error{number}", (Exception,), {"__module__": "app"})()) for number in range(150)]

    assert names == [f"app.Error{number}" for number in range(100)] + ["_OTHER"] * 50
    assert error_type(type("Error7", (Exception,), {"__module__": "app"})()) == "app.Error7"
    assert error_type(KeyError()) == "KeyError"


def test_threads_together_keep_the_bound_of_error_types(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one may meet a new class between the two steps of the first."""

    class Known(set[str]):
        def add(self, name: str) -> None:
            if name == "app.First":
                others.append(error_type(type("Second", (Exception,), {"__module__": "app"})()))
            super().add(name)

    others: list[str] = []
    forget_error_types(monkeypatch, Known())
    monkeypatch.setattr(metrics, "MAX_ERROR_TYPES", 1)

    assert error_type(type("First", (Exception,), {"__module__": "app"})()) == "app.First"
    assert others == ["_OTHER"]


def test_error_type_is_the_class_only() -> None:
    """The message may quote a secret."""
    assert error_type(ValueError("dstok_secret")) == "ValueError"
