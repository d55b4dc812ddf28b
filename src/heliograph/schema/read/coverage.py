"""Record the declared events and attributes that were seen in this process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from heliograph.runtime.shared_counter import SharedCounter
from heliograph.schema.model.wire_attributes import WireAttribute
from heliograph.schema.read.validation import Violation, ViolationKind

_WINDOW_NANOS: Final = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """The events of one class that were seen in this process.

    Attributes:
        count: The number of events.
        last_unix_nano: The time of the last event, to about a second, in nanoseconds since the Unix epoch. `None` if there
            was none.
        attributes: The time at which each declared attribute was seen last, likewise. `None` if it never was.
        violations: The number of violations, by kind.
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
    """Records the events of one class.

    Time is cut into windows of about a second. In each window, an attribute is recorded at most once: after all were seen,
    an event costs one comparison. Reports need no finer time, and every event pays for the recording.

    Any thread may call any method, without a lock. The numbers of events and of violations are exact, because each is
    incremented by C code that holds the GIL. A race between two threads can only lose the time of an attribute in one
    window; an attribute that events keep having is recorded in the next.

    Args:
        declared: The attributes that the event class declares.
    """

    def __init__(self, declared: Iterable[WireAttribute]) -> None:
        declared = list(declared)
        self._last: dict[str, int | None] = {attribute.name: None for attribute in declared}
        self._names = frozenset(attribute.name for attribute in declared if attribute.wire_type != "any")
        # Attributes that are flattened by their own keys are on the wire below their name.
        self._prefixes = frozenset(attribute.name for attribute in declared) - self._names
        self._unseen_names: frozenset[str] = frozenset()  # in this window
        self._unseen_prefixes: frozenset[str] = frozenset()
        self._window_end = -1
        self._counter = SharedCounter()
        self._count_event = self._counter.add
        self._last_event: int | None = None
        self._violations = {kind: SharedCounter() for kind in ViolationKind}

    def count(self, time_unix_nano: int) -> bool:
        """Count an event. Return True if its attributes have to be seen, because one of them may not be recorded yet."""
        self._count_event()
        if time_unix_nano >= self._window_end:
            self._window_end = time_unix_nano + _WINDOW_NANOS
            self._last_event = time_unix_nano
            self._unseen_names, self._unseen_prefixes = self._names, self._prefixes
        return bool(self._unseen_names or self._unseen_prefixes)

    def see(self, attributes: Mapping[str, object], time_unix_nano: int) -> None:
        """Record the attributes of an event that was counted."""
        # `isdisjoint` creates no set, and stops at the first hit: most events have nothing new.
        if self._unseen_names and not attributes.keys().isdisjoint(self._unseen_names):
            self._mark_seen(self._unseen_names.intersection(attributes), time_unix_nano)
        if self._unseen_prefixes:
            seen = {name for name in self._unseen_prefixes if _has_prefix(attributes, name)}
            self._mark_seen(seen, time_unix_nano)

    def _mark_seen(self, names: Iterable[str], time_unix_nano: int) -> None:
        seen = frozenset(names)
        self._last.update(dict.fromkeys(seen, time_unix_nano))
        self._unseen_names -= seen
        self._unseen_prefixes -= seen

    def record_violations(self, violations: Iterable[Violation]) -> None:
        """Record the violations of an event."""
        for violation in violations:
            self._violations[violation.kind].add()

    def snapshot(self) -> Coverage:
        """Return everything that was recorded so far."""
        return Coverage(
            count=self._counter.value,
            last_unix_nano=self._last_event,
            attributes=dict(self._last),
            violations={kind: counter.value for kind, counter in self._violations.items() if counter.value},
        )


def _has_prefix(attributes: Mapping[str, object], prefix: str) -> bool:
    return prefix in attributes or any(name.startswith(f"{prefix}.") for name in attributes)
