"""Events for the tests of the emitters, and a plugin that registers them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from heliograph import Event, Settings, Severity, Signal, hookimpl


@dataclass
class BanUserEvent(Event, namespace="forum", severity=Severity.WARN, message="{actor[id]} banned {user[username]}"):
    name = "ban-user"
    user: dict


@dataclass
class AnythingEvent(Event):
    name = "anything"
    value: Any = None
    other: Any = field(default="other")


class Plugin:
    @hookimpl
    def register_events(self) -> list[type]:
        return [BanUserEvent, AnythingEvent]


def only(*signals: Signal) -> Settings:
    return Settings(signals=frozenset(signals))
