"""Which of the declared events and attributes were really seen."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from heliograph.schema.model.wire_attributes import WireAttribute
from heliograph.schema.read.validation import Violation, ViolationKind
from heliograph.values.attributes import Attributes

_WINDOW_NANOS: Final = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """What was seen of one event in this process.

    Attributes:
        count: How many events.
        last_unix_nano: When the last one happened, to about a second, in nanoseconds since the Unix epoch; `None`: there
            was none.
        attributes: When each declared attribute was there last, likewise; `None`: never.
        violations: How many violations there were, by kind.
    """

    count: int
    last_unix_nano: int | None
    attributes: Mapping[str, int | None]
    violations: Mapping[ViolationKind, int]

    @property
    def unseen(self) -> tuple[str, ...]:
        """The declared attributes that no event had."""
        return tuple(name for name, last in self.attributes.items() if last is None)


class CoverageRecorder:
    """Records what is seen of one event. What it costs an event is a comparison, or, once a second, a loop.

    Args:
        declared: The attributes that the event declares.
    """

    def __init__(self, declared: Iterable[WireAttribute]) -> None:
        declared = list(declared)
        self._last: dict[str, int | None] = {attribute.name: None for attribute in declared}
        self._names = frozenset(attribute.name for attribute in declared if attribute.wire_type != "any")
        self._prefixes = frozenset(attribute.name for attribute in declared) - self._names
        self._waiting: frozenset[str] = frozenset()
        self._waiting_prefixes: frozenset[str] = frozenset()
        self._until = -1
        self._next = itertools.count(1).__next__  # one C call: threads cannot lose a count
        self._count = 0
        self._last_event: int | None = None
        self._violations: Counter[ViolationKind] = Counter()

    def record(self, attributes: Attributes, time_unix_nano: int) -> None:
        """Record an event with these attributes."""
        self._count = self._next()
        if time_unix_nano >= self._until:
            self._until = time_unix_nano + _WINDOW_NANOS
            self._last_event = time_unix_nano
            self._waiting, self._waiting_prefixes = self._names, self._prefixes
        if self._waiting and not attributes.keys().isdisjoint(self._waiting):  # it looks for the fewer in the more
            self._mark(self._waiting.intersection(attributes), time_unix_nano)
        if self._waiting_prefixes:
            self._mark({name for name in self._waiting_prefixes if _is_there(name, attributes)}, time_unix_nano)

    def _mark(self, names: Iterable[str], time_unix_nano: int) -> None:
        seen = frozenset(names)
        self._last.update(dict.fromkeys(seen, time_unix_nano))
        self._waiting -= seen
        self._waiting_prefixes -= seen

    def record_violations(self, violations: Iterable[Violation]) -> None:
        """Record what was wrong with an event."""
        self._violations.update(violation.kind for violation in violations)

    def snapshot(self) -> Coverage:
        """What was recorded so far."""
        return Coverage(
            count=self._count,
            last_unix_nano=self._last_event,
            attributes=dict(self._last),
            violations=dict(self._violations),
        )


def _is_there(prefix: str, attributes: Attributes) -> bool:
    return prefix in attributes or any(name.startswith(f"{prefix}.") for name in attributes)
