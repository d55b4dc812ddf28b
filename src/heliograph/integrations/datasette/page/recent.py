"""The part of the report about recent events: those in the store that match the filter of the page's reader.

All values are exported ones: privacy was applied before an event was stored.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Final

from typing_extensions import assert_never

from heliograph.errors import FileFormatError
from heliograph.integrations.datasette.page.chart import Chart, chart
from heliograph.recent_events.recorder import RecentEvents
from heliograph.recent_events.store import MAX_EVENTS, MINUTES, CountKind, Counts, Found
from heliograph.tokens.rejections import RESULTS
from heliograph.values.text import utc

MAX_SHOWN: Final = 100
"""The number of events that are shown: the newest that the filter accepts."""


@dataclass(frozen=True, kw_only=True)
class EventFilter:
    """Selects recent events. An empty text accepts all of them.

    Attributes:
        event: The event name.
        actor: The id of the actor, as it was exported.
        token: The id of the token.
    """

    event: str = ""
    actor: str = ""
    token: str = ""


def recent_report(recent: RecentEvents, wanted: EventFilter) -> dict[str, Any]:
    """Return the events and the counts per minute, or the reason why the file cannot be read. It reads a file: call it in a thread.

    Args:
        recent: Keeps the events. Those that wait in memory are written to the file first.
        wanted: Selects the events that are returned.
    """
    recent.flush()
    minute = recent.minute()
    report = {"file": str(recent.store.path), "max_events": MAX_EVENTS, "filter": dict(vars(wanted))}
    try:
        found = recent.store.find(event_name=wanted.event, actor=wanted.actor, token_id=wanted.token, limit=MAX_SHOWN)
        counts = recent.store.counts(minute=minute)
    except (FileFormatError, sqlite3.Error, OSError) as error:
        return {**report, "problem": type(error).__name__}
    return {**report, "events": [_event(each) for each in found], "minutes": _minutes(counts, minute)}


def charts(report: Mapping[str, Any]) -> dict[str, Chart]:
    """Return the charts of a report: of events by name, and of verified tokens by result."""
    minutes = report["minutes"]
    times = [each["minute"] for each in minutes]
    return {
        "events": chart(times, [each["events"] for each in minutes]),
        "tokens": chart(times, [each["tokens"] for each in minutes], first=RESULTS),
    }


def _minutes(counts: Counts, current: int) -> list[dict[str, Any]]:
    minutes: dict[int, dict[str, Any]] = {
        minute: {"minute": utc(minute * 60), "events": {}, "tokens": {}, "not_kept": 0}
        for minute in range(current - MINUTES + 1, current + 1)
    }
    for (minute, kind, name), count in counts.items():
        match kind:
            case CountKind.EVENT:
                minutes[minute]["events"][name] = count
            case CountKind.TOKEN:
                minutes[minute]["tokens"][name] = count
            case CountKind.NOT_KEPT:
                minutes[minute]["not_kept"] = count
            case _:
                assert_never(kind)
    return list(minutes.values())


def _event(found: Found) -> dict[str, Any]:
    event = found.event
    time = datetime.fromtimestamp(event.time_unix_nano / 1e9, timezone.utc).isoformat(timespec="milliseconds")
    return {
        "time": time,
        "event": event.event_name,
        "actor": event.actor,
        "token": event.token_id,
        "body": event.body,
        "trace": event.trace_id,
        "pid": found.pid,
        "attributes": json.loads(event.attributes),
        "omitted": event.omitted,
    }
