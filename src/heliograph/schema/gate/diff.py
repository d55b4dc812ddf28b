"""What a change of schemas means for those who rely on them: two lock documents in, findings out."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from heliograph.events import Privacy
from heliograph.schema.gate.compatibility import refusals
from heliograph.schema.gate.lock import Lock, LockedAttribute, LockedEvent


class Mode(str, enum.Enum):
    """Which changes are incompatible. Source of the terms: Confluent's schema registry.

    A change that takes a name away, or shows what was private, is incompatible in every mode.
    """

    BACKWARD = "backward"
    """The new schemas have to accept the events of the old ones: those that are stored, set aside, or on their way."""
    FORWARD = "forward"
    """The old schemas have to accept the events of the new ones: who reads by the old ones has not moved yet."""
    FULL = "full"
    """Both."""


class Bump(str, enum.Enum):
    """The part of a version that a change asks to raise, by semantic versioning."""

    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One change.

    Attributes:
        event: Of which event: ``app.order@2``.
        where: Of which attribute or property in it; empty for the event itself.
        what: What changed.
        breaks: Whom it breaks; empty: nobody.
        modes: In which modes it is incompatible; none: it is compatible.
        bump: What it asks for.
    """

    event: str
    where: str
    what: str
    breaks: str
    modes: frozenset[Mode]
    bump: Bump

    def __str__(self) -> str:
        where = f" {self.where}:" if self.where else ":"
        effect = f"breaks {self.breaks}" if self.modes else "compatible"
        return f"{self.event}{where} {self.what} — {effect}; asks for a {self.bump.value} version"


class _Effect(NamedTuple):
    breaks: str
    modes: frozenset[Mode]
    bump: Bump


_EVERY: Final = frozenset(Mode)
_BACKWARD: Final = frozenset({Mode.BACKWARD, Mode.FULL})
_FORWARD: Final = frozenset({Mode.FORWARD, Mode.FULL})
_OLD_EVENTS: Final = _Effect("who reads older events by the new schema", _BACKWARD, Bump.MAJOR)
_NEW_EVENTS: Final = _Effect("who reads new events by the old schema", _FORWARD, Bump.MINOR)
_QUERIES: Final = _Effect("dashboards, alerts and queries that name it", _EVERY, Bump.MAJOR)
_VALUES: Final = _Effect("queries that need its values", _FORWARD, Bump.MAJOR)
_PEOPLE: Final = _Effect("the trust of those whose data it is", _EVERY, Bump.MAJOR)
_ANNOUNCED: Final = _Effect("", frozenset(), Bump.MAJOR)
_ADDED: Final = _Effect("", frozenset(), Bump.MINOR)
_SAID: Final = _Effect("", frozenset(), Bump.PATCH)
_PROTECTION: Final = [Privacy.PLAIN, Privacy.HASH, Privacy.MASK, Privacy.DROP]


def diff(old: Lock, new: Lock) -> list[Finding]:
    """The changes from the old document to the new one.

    An event whose version gave way to another version of it was changed on purpose; of it, only privacy is compared.
    """
    findings: list[Finding] = []
    for label, event in sorted(old.events.items()):
        if label in new.events:
            findings += _changes(label, event, new.events[label])
        else:
            findings += _removal(label, event, new.events)
    added = sorted(new.events.keys() - old.events.keys())
    return findings + [_finding(label, "", "the event is new", _ADDED) for label in added]


def _finding(event: str, where: str, what: str, effect: _Effect) -> Finding:
    return Finding(event=event, where=where, what=what, **effect._asdict())


def _removal(label: str, old: LockedEvent, after: Mapping[str, LockedEvent]) -> Iterator[Finding]:
    successors = {name: event for name, event in after.items() if event.event_name == old.event_name}
    if successors:
        yield _finding(label, "", f"gave way to {' and '.join(sorted(successors))}", _ANNOUNCED)
        for name, event in successors.items():
            yield from _privacy_changes(name, old, event)
    elif old.renamed_to in {event.event_name for event in after.values()}:
        yield _finding(label, "", f"renamed to {old.renamed_to}, as announced", _ANNOUNCED)
    else:
        mend = 'announce it first: deprecated=Deprecated(renamed_to="…")'
        yield _finding(label, "", f"the event is gone; {mend}", _QUERIES)


def _changes(label: str, old: LockedEvent, new: LockedEvent) -> Iterator[Finding]:
    yield from _attribute_changes(label, old.attributes, new.attributes)
    yield from _privacy_changes(label, old, new)
    for refusal in refusals(old.values, new.values):
        yield _finding(label, refusal.path, refusal.reason, _OLD_EVENTS)
    for refusal in refusals(new.values, old.values):
        what = f"it accepts more: by the old schema, {refusal.reason}"
        yield _finding(label, refusal.path, what, _NEW_EVENTS)
    for key in ("severity", "stability", "renamed_to"):
        if getattr(old, key) != getattr(new, key):
            yield _finding(label, "", f"{key} is {getattr(new, key)}, and was {getattr(old, key)}", _SAID)


def _attribute_changes(
    label: str, old: Mapping[str, LockedAttribute], new: Mapping[str, LockedAttribute]
) -> Iterator[Finding]:
    for name, attribute in old.items():
        if name in new:
            yield from _attribute_change(label, name, attribute, new[name])
        elif attribute.renamed_to in new:
            yield _finding(label, name, f"renamed to {attribute.renamed_to}, as announced", _ANNOUNCED)
        elif not any(other.startswith(f"{name}.") for other in new):  # its keys have attributes of their own now
            yield _finding(label, name, _gone(attribute, new), _QUERIES)
    announced = {attribute.renamed_to for attribute in old.values()}
    for name in new:
        if name not in old and name not in announced:
            yield _finding(label, name, "the attribute is new", _ADDED)


def _gone(attribute: LockedAttribute, new: Mapping[str, LockedAttribute]) -> str:
    successors = [name for name, other in new.items() if other.path == attribute.path]
    if not successors:
        return "the attribute is gone"
    mend = "announce it first: Attribute(…, deprecated=Deprecated(renamed_to=…))"
    return f"the attribute is called {successors[0]} now; {mend}"


def _attribute_change(label: str, name: str, old: LockedAttribute, new: LockedAttribute) -> Iterator[Finding]:
    for what, was, is_now in (("type", old.type, new.type), ("unit", old.unit, new.unit)):
        if was != is_now:
            yield _finding(label, name, f"the attribute's {what} is {is_now}, and was {was}", _QUERIES)
    if old.required and not new.required:
        yield _finding(label, name, "it was in every event, and is not any more", _NEW_EVENTS)
    if old.renamed_to != new.renamed_to:
        yield _finding(label, name, f"renamed_to is {new.renamed_to}, and was {old.renamed_to}", _SAID)


def _privacy_changes(label: str, old: LockedEvent, new: LockedEvent) -> Iterator[Finding]:
    for path, privacy in new.privacy.items():
        before = [each for other, each in old.privacy.items() if _is_within(path, other) or _is_within(other, path)]
        if not before:
            continue
        was = max(before, key=_PROTECTION.index)
        if _PROTECTION.index(privacy) < _PROTECTION.index(was):
            yield _finding(label, path, f"privacy is weakened, from {was.value} to {privacy.value}", _PEOPLE)
        elif privacy is not was:
            yield _finding(label, path, f"privacy is stronger, from {was.value} to {privacy.value}", _VALUES)


def _is_within(path: str, other: str) -> bool:
    return path == other or path.startswith(f"{other}.")


def incompatible(findings: Iterable[Finding], mode: Mode) -> list[Finding]:
    """The findings that are incompatible in a mode."""
    return [finding for finding in findings if mode in finding.modes]
