"""Collect everything that the page shows, as data. It reads files: call it in a thread.

Nothing here quotes a message of an exception or of a server, because it may contain values that the page's reader must not see. Values of
events are only in the recent events, as they were exported, and only if the operator has switched these on.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TypeAlias

from heliograph.delivery.outbox.dead_letters import DeadLetter
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.outbox.state import OutboxState
from heliograph.errors import OutboxError, QuarantineError
from heliograph.integrations.datasette.page.recent import EventFilter, recent_report
from heliograph.integrations.datasette.process_providers import owner_names
from heliograph.quarantine.store import Quarantine
from heliograph.recent_events.recorder import RecentEvents
from heliograph.runtime.recent_failures import Failure, recent_failures
from heliograph.schema.export.catalogue import catalogue
from heliograph.schema.model.event import EventSchema
from heliograph.sdk.routes import Route, find_routes
from heliograph.settings import Settings
from heliograph.values.text import utc
from heliograph.version import __version__

Json: TypeAlias = "dict[str, Any]"

MAX_DEAD_LETTERS: Final = 20
"""The number of dead letters that are listed. The newest are listed."""
MAX_FOLDERS: Final = 20
"""The number of folders of the outbox that are listed. Those with the most waiting records are listed."""


def report(
    settings: Settings, schemas: Iterable[EventSchema], recent: RecentEvents | None, wanted: EventFilter
) -> Json:
    """Return the report of this process.

    Args:
        settings: The settings of the plugin.
        schemas: The schemas of the registered events.
        recent: Keeps recent events, or `None`.
        wanted: Selects the recent events.
    """
    return {
        "process": {"pid": os.getpid(), "heliograph": __version__},
        "signals": [_signal(each) for each in find_routes(settings.outbox, owner_names(os.environ))],
        "failures": [_failure(each) for each in recent_failures()],
        "outbox": _outbox(settings),
        "quarantine": _quarantine(settings.quarantine),
        "recent": None if recent is None else recent_report(recent, wanted),
        "events": [asdict(entry) for entry in catalogue(schemas)],
    }


def open_outbox(settings: Settings) -> OutboxDirectory | None:
    """Return the outbox of the settings; `None` if there is none, or if it was not created yet.

    Raises:
        OutboxError: It cannot be used.
    """
    if settings.outbox is None or not settings.outbox.is_dir():
        return None
    return OutboxDirectory(settings.outbox, max_bytes=settings.outbox_max_bytes)


def _signal(route: Route) -> Json:
    return {"signal": route.signal.value, "owner": route.owner, "destinations": list(route.destinations)}


def _failure(failure: Failure) -> Json:
    return {
        "time": utc(failure.time),
        "level": logging.getLevelName(failure.level).lower(),
        "error": failure.error,
        "text": failure.text,
    }


def _outbox(settings: Settings) -> Json | None:
    """Return the state of the outbox; `None` if the settings name none."""
    if settings.outbox is None:
        return None
    found: Json = {"directory": str(settings.outbox), "is_there": settings.outbox.is_dir()}
    try:
        outbox = open_outbox(settings)
        return found if outbox is None else {**found, **_state(outbox, settings)}
    except (OutboxError, OSError) as error:
        return {**found, "problem": type(error).__name__}


def _state(outbox: OutboxDirectory, settings: Settings) -> Json:
    state = OutboxState.of(outbox)
    fullest = sorted(state.folders, key=lambda folder: folder["waiting"], reverse=True)
    return {
        **state.totals(),
        "bytes": outbox.space.used(),
        "max_bytes": settings.outbox_max_bytes,
        "stuck": len(state.stuck),
        "folders": fullest[:MAX_FOLDERS],
        "letters": [_letter(each) for each in outbox.dead_letters.newest(MAX_DEAD_LETTERS)]
        if state.dead_letters
        else [],
    }


def _letter(letter: DeadLetter) -> Json:
    names = ("id", "died", "event_name", "reason", "uid", "trace_id", "span_id")
    return {"signal": letter.header.signal.name, **{name: getattr(letter, name) for name in names}}


def _quarantine(path: Path) -> Json:
    found: Json = {"file": str(path), "events": {}}
    try:
        return {**found, "events": Quarantine(path).counts()}
    except (QuarantineError, sqlite3.Error, OSError) as error:
        return {**found, "problem": type(error).__name__}
