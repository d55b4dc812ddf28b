"""A plugin for tests whose subject is the events themselves, and not how they are registered."""

from __future__ import annotations

from heliograph import hookimpl


class Registrar:
    """A plugin that registers event classes, for a host and for a Datasette."""

    def __init__(self, *event_classes: type) -> None:
        self._event_classes = event_classes

    @hookimpl
    def register_events(self) -> list[type]:
        return list(self._event_classes)
