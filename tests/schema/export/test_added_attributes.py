"""The attributes that heliograph adds to events are the ones that events have."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from heliograph import Event, Settings
from heliograph.schema import conventions
from heliograph.schema.export.added_attributes import ADDED
from recorder import Telemetry
from registrar import Registrar


@dataclass
class BusyEvent(Event, namespace="shop", version="1"):
    name = "busy"
    total: int
    extra: Any = None


def test_every_added_attribute_is_defined() -> None:
    """The semantic conventions define it, or heliograph does, with a type."""
    for name, added in ADDED.items():
        assert (conventions.find(name) is None) is (added.type is not None), name


def test_events_have_no_other_attributes(telemetry: Telemetry) -> None:
    """The events have an actor with everything, a violation, too many attributes, and an impossible time."""
    actor = {"id": 1, "name": "n", "full_name": "f", "roles": ["r"], "email": "e", "team": "t"}
    actor |= {"token": "dstok", "token_id": "2c0caabb24ac"}
    settings = Settings(actor=("id", "name", "full_name", "roles", "email", "team"), validation="warn")
    with telemetry.host(Registrar(BusyEvent), settings=settings) as host:
        host.track(BusyEvent(actor=actor, total="x", extra={f"k{i}": i for i in range(200)}))  # type: ignore[arg-type]
        host.track(BusyEvent(actor=actor, total=1, created=dt.datetime(1, 1, 1, tzinfo=dt.timezone.utc)))

    names = {name for record in telemetry.logs for name in record.log_record.attributes or ()}
    unknown = {name for name in names if not name.startswith(("shop.busy.", "heliograph.actor."))} - set(ADDED)
    assert unknown == set()
    assert {"heliograph.event.violations", "heliograph.event.created", "user.roles", "heliograph.token.id"} <= names
    assert "heliograph.token.handler" in names
