"""Measure what events in spans cost, from the call to the acknowledged requests of both signals, against OpenTelemetry's SDK.

Every side sends to the same server, which runs in its own process, responds at once, and counts what arrived: a run whose counts are wrong
fails. The sides take turns in each round, and a round ends when both signals are acknowledged. Figures are CPU times of the process, unless
said; "SDK" has the batch processors and the OTLP/HTTP exporters of both signals.

- Events in spans: `track` of an event as log record and span event, with 1, 3 and 20 events to a span. The spans themselves are included.
  With outboxes and the providers that `configure()` makes, and with outboxes in the SDK's own providers.
- A span alone: the time over that of the same spans without a processor; hot, and with 200 µs of other Python before each span.
- `Span.end` in the thread of its caller, which with an outbox includes the durable write.
- An insert into Datasette, which makes its own spans: the time over that of the same requests with spans that nothing processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from opentelemetry._logs import set_logger_provider
from opentelemetry.trace import Span, Tracer, set_tracer_provider
from parts.accepting import Counts, accepting, counted
from parts.exporting import (
    Exports,
    Providers,
    batches,
    outboxes,
    providers_of_configure,
    providers_of_sdk,
    switch,
)
from parts.inserts import Inserts
from parts.other_work import OtherWork
from parts.shipments import OrderShipped, order_shipped

from heliograph import Host, Settings
from heliograph.settings import Signal

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 15
EVENTS = 1200
SPANS = 1000
INSERTS = 30
OTHER_WORK_SECONDS = 200e-6
GOALS_OF_EVENTS = {1: (0.43, 0.50), 3: (0.34, 0.43), 20: (0.28, 0.37)}
"""By the number of events to a span: with the providers of `configure()`, and with those of somebody else."""
GOAL_OF_SPAN = 0.42
GOAL_OF_COLD_SPAN = 1.0
GOAL_OF_END = 3.5
GOAL_OF_INSERT = 1.0

Figures = dict[str, list[float]]


@dataclass
class Outcome:
    """The result of all comparisons."""

    is_met: bool = True

    def report(self, name: str, candidate: list[float], base: list[float], goal: float) -> None:
        """Print the median of the ratios of each round, and remember if it meets the goal."""
        ratio = statistics.median(own / other for own, other in zip(candidate, base))
        is_met = ratio <= goal
        own, other = statistics.median(candidate), statistics.median(base)
        print(
            f"{name:46} {own:8.2f} / {other:8.2f} µs = {ratio:5.2f}   (goal: at most {goal}){'' if is_met else ' MISSED'}",
            flush=True,
        )
        self.is_met = self.is_met and is_met


@dataclass
class Side:
    """One way to export.

    Attributes:
        providers: The providers.
        exports: Their processors; `None` exports nothing.
    """

    providers: Providers
    exports: Exports | None
    host: Host = field(init=False)

    def __post_init__(self) -> None:
        signals = (Signal.LOG, Signal.SPAN_EVENT)
        self.host = Host(
            Settings(signals=signals),
            events=[OrderShipped],
            logger_provider=self.providers.logs,
            tracer_provider=self.providers.traces,
        )
        self.host.__enter__()

    @property
    def tracer(self) -> Tracer:
        """A tracer."""
        return self.providers.traces.get_tracer("benchmark")

    def measure(self, run: Callable[[], object], count: int) -> float:
        """Return the CPU time until everything is acknowledged, in µs, for each of a number of things."""
        gc.collect()
        begun = time.process_time()
        run()
        if self.exports is not None:
            self.exports.flush()
        return (time.process_time() - begun) / count * 1e6


def differences(figures: Figures, name: str, floor: str) -> list[float]:
    """Return what one side costs over another, in each round."""
    return [own - least for own, least in zip(figures[name], figures[floor])]


def rounds(sides: Mapping[str, Side], measure: Callable[[Side], float]) -> Figures:
    """Return the figures of each side. The first round, in which connections and files are opened, does not count."""
    figures: Figures = {name: [] for name in sides}
    for number in range(ROUNDS + 1):
        for name, side in sides.items():
            figure = measure(side)
            if number:
                figures[name].append(figure)
    return figures


def compare_events(sides: Mapping[str, Side], url: str, outcome: Outcome) -> None:
    """Compare events in spans."""
    for per_span, goals in GOALS_OF_EVENTS.items():

        def measure(side: Side, per_span: int = per_span) -> float:
            events, tracer, track = [order_shipped() for _ in range(EVENTS)], side.tracer, side.host.track

            def run() -> None:
                for start in range(0, EVENTS, per_span):
                    with tracer.start_as_current_span("POST /orders"):
                        for event in events[start : start + per_span]:
                            track(event)

            return side.measure(run, EVENTS)

        exporting = {name: side for name, side in sides.items() if side.exports is not None}
        figures = rounds(exporting, measure)
        sent = (ROUNDS + 1) * EVENTS * len(exporting)
        check(url, records=sent, spans=sent // per_span, span_events=sent)
        for name, goal in zip(("configure", "somebody else"), goals):
            outcome.report(f"{per_span} to a span, providers of {name}", figures[name], figures["SDK"], goal)


def compare_spans(sides: Mapping[str, Side], url: str, outcome: Outcome) -> None:
    """Compare spans without events."""
    chosen = {name: sides[name] for name in ("none", "SDK", "configure")}
    other_work = OtherWork(OTHER_WORK_SECONDS)

    def measure(side: Side, work: Callable[[], object] | None) -> float:
        tracer = side.tracer

        def run() -> None:
            for _ in range(SPANS):
                if work is not None:
                    work()
                start_span(tracer).end()

        return side.measure(run, SPANS)

    for name, work, goal in (
        ("a span alone", None, GOAL_OF_SPAN),
        ("a span, 200 µs of other Python before", other_work, GOAL_OF_COLD_SPAN),
    ):
        figures = rounds(chosen, lambda side, work=work: measure(side, work))  # type: ignore[misc]
        check(url, spans=(ROUNDS + 1) * SPANS * 2)
        outcome.report(name, differences(figures, "configure", "none"), differences(figures, "SDK", "none"), goal)


def compare_ends(sides: Mapping[str, Side], url: str, outcome: Outcome) -> None:
    """Compare `Span.end` in the thread of its caller."""

    def measure(side: Side) -> float:
        tracer, clock, nanoseconds = side.tracer, time.thread_time_ns, 0
        gc.collect()
        for _ in range(SPANS):
            span = start_span(tracer)
            # Twice, since the call of the clock takes time, too.
            begun = clock()
            ready = clock()
            span.end()
            nanoseconds += clock() - ready - (ready - begun)
        if side.exports is not None:
            side.exports.flush()
        return nanoseconds / SPANS / 1e3

    figures = rounds({name: sides[name] for name in ("SDK", "configure")}, measure)
    check(url, spans=(ROUNDS + 1) * SPANS * 2)
    outcome.report("end(), in the caller's thread", figures["configure"], figures["SDK"], GOAL_OF_END)


numbers = itertools.count()


def start_span(tracer: Tracer) -> Span:
    """Return a span as a web framework makes it. Of its attributes, the path is another one each time."""
    attributes = {
        "http.request.method": "GET",
        "url.path": f"/db/table/{next(numbers)}",
        "http.response.status_code": 200,
        "server.port": 8001,
        "http.route": "/{database}/{table}/{row}",
    }
    return tracer.start_span("GET /{database}/{table}/{row}", attributes=attributes)


async def compare_inserts(exports: Mapping[str, Exports | None], url: str, directory: Path, outcome: Outcome) -> None:
    """Compare inserts into Datasette. All sides share its providers, which are those of the process, in turn.

    An insert costs ten times as much as what is compared. So the order changes in each round, and the ratio is that of the medians: a median of
    ratios would hang on the rounds in which the difference is near zero.
    """
    providers = providers_of_configure(None)
    set_tracer_provider(providers.traces)
    set_logger_provider(providers.logs)
    inserts = Inserts(directory)
    await inserts.insert()
    figures: Figures = {name: [] for name in exports}
    names = itertools.cycle([*exports, *reversed(exports)])
    for number in range(3 * ROUNDS + 1):
        for name in itertools.islice(names, len(exports)):
            chosen = exports[name]
            switch(providers, chosen)
            gc.collect()
            begun = time.process_time()
            for _ in range(INSERTS):
                await inserts.insert()
            if chosen is not None:
                await asyncio.to_thread(chosen.flush)
            if number:
                figures[name].append((time.process_time() - begun) / INSERTS * 1e6)
    arrived = counted(url)
    assert arrived.records == arrived.span_events == 2 * (3 * ROUNDS + 1) * INSERTS, arrived
    floor = statistics.median(figures["none"])
    of_floor = {name: statistics.median(figures[name]) / floor for name in ("SDK", "configure")}
    print(
        f"an insert of Datasette: {arrived.spans / arrived.records:.0f} spans; over the floor of {floor:.0f} µs: "
        f"SDK {of_floor['SDK']:.2f}, outbox {of_floor['configure']:.2f}"
    )
    sdk, own = (statistics.median(differences(figures, name, "none")) for name in ("SDK", "configure"))
    outcome.report("an insert of Datasette, over its floor", [own], [sdk], GOAL_OF_INSERT)


def check(url: str, *, records: int = 0, spans: int, span_events: int = 0) -> None:
    """Check that all of it has arrived, and nothing twice."""
    arrived = counted(url)
    expected = Counts(arrived.requests, records, arrived.distinct, spans, span_events)
    assert arrived == expected, f"arrived: {arrived}, sent: {expected}"


@contextlib.contextmanager
def exporting(url: str) -> Iterator[dict[str, Exports | None]]:
    """Yield the processors of each side."""
    with tempfile.TemporaryDirectory() as directory:
        exports: dict[str, Exports | None] = {
            "none": None,
            "SDK": batches(url),
            "configure": outboxes(url, Path(directory) / "configure"),
            "somebody else": outboxes(url, Path(directory) / "somebody-else"),
        }
        yield exports
        for each in exports.values():
            if each is not None:
                each.shutdown()


def main() -> int:
    """Print the figures. Return 1 if a goal was missed."""
    outcome = Outcome()
    with accepting() as url, exporting(url) as exports, tempfile.TemporaryDirectory() as directory:
        sides = {
            name: Side((providers_of_configure if name == "configure" else providers_of_sdk)(each), each)
            for name, each in exports.items()
        }
        compare_events(sides, url, outcome)
        compare_spans(sides, url, outcome)
        compare_ends(sides, url, outcome)
        for side in sides.values():
            side.host.shutdown()
        chosen = {name: exports[name] for name in ("none", "SDK", "configure")}
        asyncio.run(compare_inserts(chosen, url, Path(directory), outcome))
    return int(not outcome.is_met)


if __name__ == "__main__":
    sys.exit(main())
