"""What becomes of an event that breaks its contract, by the setting."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from opentelemetry.trace import format_trace_id

from heliograph import Event, InvalidEvent, Settings, hookimpl
from recorder import Telemetry

SECRET = "c4n4ry"


@dataclass
class OrderEvent(Event, namespace="shop"):
    name = "order"
    number: Annotated[int, msgspec.Meta(ge=1)]
    customer: str
    lines: list[int]


@dataclass
class LargeOrderEvent(OrderEvent):
    pass


class Shop:
    def __init__(self) -> None:
        self.seen: list[object] = []

    @hookimpl
    def register_events(self):
        return [OrderEvent]

    @hookimpl
    def track_event(self, event):
        self.seen.append(event)


GOOD = OrderEvent(number=1, customer="Ada", lines=[1])
BAD = OrderEvent(number=0, customer=None, lines=[1, SECRET])  # type: ignore[arg-type, list-item]
VIOLATIONS = ("constraint-violated: number", "required-missing: customer", "datatype-mismatch: lines[1]")


def settings(validation: str, path: Path | None = None) -> Settings:
    return Settings(secret=("x",), validation=validation, quarantine=path or Path("unused.db"))  # type: ignore[arg-type]


def kinds(telemetry: Telemetry) -> dict[tuple[object, ...], float]:
    return telemetry.counts("heliograph.event.violations")


COUNTED = {
    ("shop.order", "constraint-violated"): 1,
    ("shop.order", "datatype-mismatch"): 1,
    ("shop.order", "required-missing"): 1,
}


def by_event(counts: dict[tuple[object, ...], float]) -> dict[tuple[object, ...], float]:
    return {(name, kind): count for (kind, name), count in counts.items()}


async def track(telemetry: Telemetry, how: str, event: Event, plugin: Shop, with_settings: Settings) -> None:
    async with telemetry.host(plugin, settings=with_settings) as host:
        if how == "track":
            host.track(event)
        else:
            await host.track_event(event)


HOW = pytest.mark.parametrize("how", ["track", "track_event"])


@HOW
@pytest.mark.anyio
async def test_off_emits_and_says_nothing(telemetry: Telemetry, how: str) -> None:
    """Nothing is checked."""
    await track(telemetry, how, BAD, Shop(), settings("off"))

    [(_, attributes)] = telemetry.events
    assert "heliograph.event.violations" not in attributes
    assert kinds(telemetry) == {}


@HOW
@pytest.mark.anyio
async def test_warn_emits_and_names_what_is_wrong(telemetry: Telemetry, how: str) -> None:
    """In an attribute of log record and span event, and counted by kind."""
    plugin = Shop()
    with telemetry.tracer.start_as_current_span("work"):
        await track(telemetry, how, BAD, plugin, settings("warn"))

    [(_, attributes)] = telemetry.events
    assert attributes["heliograph.event.violations"] == VIOLATIONS
    [span_event] = telemetry.span_events
    assert span_event.attributes["heliograph.event.violations"] == VIOLATIONS  # type: ignore[index]
    assert by_event(kinds(telemetry)) == COUNTED
    assert plugin.seen == [BAD]


@HOW
@pytest.mark.anyio
async def test_strict_raises_before_any_hook_ran(telemetry: Telemetry, how: str) -> None:
    """Nothing is emitted; the exception has what is wrong, and no value."""
    plugin = Shop()
    with pytest.raises(InvalidEvent) as caught:
        await track(telemetry, how, BAD, plugin, settings("strict"))

    assert caught.value.event_class is OrderEvent
    assert caught.value.violations == VIOLATIONS
    assert isinstance(caught.value, ValueError)
    assert SECRET not in str(caught.value)
    assert (telemetry.events, plugin.seen) == ([], [])
    assert by_event(kinds(telemetry)) == COUNTED


@HOW
@pytest.mark.anyio
async def test_quarantine_keeps_it_aside(telemetry: Telemetry, how: str, tmp_path: Path) -> None:
    """Nothing is emitted, the file has all of it, and the program's own hooks ran."""
    plugin, path = Shop(), tmp_path / "aside.db"
    with telemetry.tracer.start_as_current_span("work") as span:
        await track(telemetry, how, BAD, plugin, settings("quarantine", path))

    assert (telemetry.events, telemetry.span_events, plugin.seen) == ([], [], [BAD])
    assert telemetry.counts("heliograph.events") == {}
    assert by_event(kinds(telemetry)) == COUNTED
    with closing(sqlite3.connect(path)) as connection:
        [row] = connection.execute("select event_name, properties, violations, trace_id from quarantine").fetchall()
    assert row == (
        "shop.order",
        f'{{"number":0,"customer":null,"lines":[1,"{SECRET}"]}}',
        '["constraint-violated: number","required-missing: customer","datatype-mismatch: lines[1]"]',
        format_trace_id(span.get_span_context().trace_id),
    )


@pytest.mark.parametrize("validation", ["off", "warn", "quarantine", "strict"])
def test_good_event_goes_out_by_every_setting(telemetry: Telemetry, validation: str, tmp_path: Path) -> None:
    """And no file is made."""
    path = tmp_path / "aside.db"
    with telemetry.host(Shop(), settings=settings(validation, path)) as host:
        host.track(GOOD)

    assert telemetry.events == [
        ("shop.order", {"shop.order.number": 1, "shop.order.customer": "Ada", "shop.order.lines": (1,)})
    ]
    assert not path.exists()


def test_subclass_that_nobody_registered_is_unplanned(telemetry: Telemetry) -> None:
    """It has its ancestor's name, and did not promise to be what that is."""
    event = LargeOrderEvent(number=1, customer="Ada", lines=[])
    with telemetry.host(Shop(), settings=settings("strict")) as host, pytest.raises(InvalidEvent) as caught:
        host.track(event)

    assert caught.value.violations == ("unplanned-event",)
    assert caught.value.event_class is LargeOrderEvent


def test_event_that_cannot_be_set_aside_is_emitted(
    telemetry: Telemetry, tmp_path: Path, warnings: pytest.LogCaptureFixture
) -> None:
    """Nothing is lost by a disk that fails: it goes out, with what is wrong, and the log says why."""
    with telemetry.host(Shop(), settings=settings("quarantine", tmp_path / "no such folder" / "aside.db")) as host:
        host.track(BAD)

    [(_, attributes)] = telemetry.events
    assert attributes["heliograph.event.violations"] == VIOLATIONS
    assert "could not be put into the quarantine" in warnings.text


def test_values_are_in_no_log_line(telemetry: Telemetry, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Whatever the setting is."""
    caplog.set_level(logging.DEBUG)
    for validation in ("off", "warn", "quarantine"):
        with telemetry.host(Shop(), settings=settings(validation, tmp_path / "aside.db")) as host:
            host.track(BAD)

    assert SECRET not in caplog.text
