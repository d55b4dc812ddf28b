"""Events for the tests of the emitters, and a plugin that registers them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from heliograph import Event, Settings, Severity, Signal
from registrar import Registrar


@dataclass
class BanUserEvent(Event, namespace="forum", severity=Severity.WARN, message="{actor[id]} banned {user[username]}"):
    name = "ban-user"
    user: dict


@dataclass
class AnythingEvent(Event):
    name = "anything"
    value: Any = None
    other: Any = field(default="other")


PLUGIN = Registrar(BanUserEvent, AnythingEvent)


def only(*signals: Signal) -> Settings:
    return Settings(signals=frozenset(signals))
