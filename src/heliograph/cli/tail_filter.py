"""Decide which events and operations on tokens ``heliograph tail`` shows, by the command's options."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from heliograph.receiver.arrivals import Arrival


@dataclass(frozen=True, kw_only=True)
class ArrivalFilter:
    """A filter of events and operations. An arrival must match one value of each attribute. An empty attribute permits everything.

    Attributes:
        names: Names of events and spans, with the wildcards ``*`` and ``?``.
        actors: Ids of actors.
        traces: Ids of traces in hexadecimal, or the beginnings of ids.
    """

    names: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()
    traces: tuple[str, ...] = ()

    def permits_name(self, name: str) -> bool:
        """Return True if the name matches."""
        return not self.names or any(fnmatchcase(name, pattern) for pattern in self.names)

    def permits(self, arrival: Arrival) -> bool:
        """Return True if name, actor and trace match."""
        return (
            self.permits_name(arrival.name)
            and (not self.actors or arrival.actor in self.actors)
            and (not self.traces or arrival.trace_id.startswith(self.traces))
        )

    def permitted(self, names: Iterable[str]) -> int:
        """Return the number of names that match."""
        return sum(map(self.permits_name, names))
