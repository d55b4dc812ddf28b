"""Compare two locks, and report the effect of each change on the people and programs that rely on the events.

Each kind of change has one *effect*: whom it breaks, the modes in which it is incompatible, and the part of the version
number that should be raised. The effects are the constants below; the functions only decide which one applies.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from heliograph.events import Privacy
from heliograph.schema.gate.compatibility import rejections
from heliograph.schema.gate.lock import Lock, LockedAttribute, LockedEvent
from heliograph.semconv import ACTOR_ONLY


class Mode(str, enum.Enum):
    """The direction of compatibility that is required. Source of the terms: Confluent's schema registry.

    A change that removes a name without announcement, or weakens privacy, is incompatible in every mode.
    """

    BACKWARD = "backward"
    """The new schemas must accept old events: those that are stored, in the quarantine, or not yet delivered."""
    FORWARD = "forward"
    """The old schemas must accept new events, because some readers still use the old schemas."""
    FULL = "full"
    """Both."""


class Bump(str, enum.Enum):
    """The part of a version number that a change requires to be raised, by semantic versioning."""

    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change.

    Attributes:
        event: The changed event: ``app.order@2``.
        where: The changed attribute, or the path of the changed property; empty for the event itself.
        what: A description of the change.
        breaks: The people or programs that the change breaks; empty if there are none.
        modes: The modes in which it is incompatible; empty if it is compatible.
        bump: The part of the version number to raise.
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
        return f"{self.event}{where} {self.what} — {effect}; needs a {self.bump.value} version"


class _Effect(NamedTuple):
    breaks: str
    modes: frozenset[Mode]
    bump: Bump


_EVERY: Final = frozenset(Mode)
_BACKWARD: Final = frozenset({Mode.BACKWARD, Mode.FULL})
_FORWARD: Final = frozenset({Mode.FORWARD, Mode.FULL})
_REJECTS_OLD: Final = _Effect("code that reads old events with the new schema", _BACKWARD, Bump.MAJOR)
_REJECTS_NEW: Final = _Effect("code that reads new events with the old schema", _FORWARD, Bump.MINOR)
_BREAKS_QUERIES: Final = _Effect("dashboards, alerts and queries that use it", _EVERY, Bump.MAJOR)
_VALUE_HIDDEN: Final = _Effect("queries that need the values", _FORWARD, Bump.MAJOR)
_PRIVACY_WEAKENED: Final = _Effect("the privacy that the people in the data were promised", _EVERY, Bump.MAJOR)
_ANNOUNCED: Final = _Effect("", frozenset(), Bump.MAJOR)
_ADDED: Final = _Effect("", frozenset(), Bump.MINOR)
_REMARK: Final = _Effect("", frozenset(), Bump.PATCH)

_BY_PROTECTION: Final = [Privacy.PLAIN, Privacy.HASH, Privacy.MASK, Privacy.DROP]
"""From the weakest to the strongest. A hash is weaker than a mask, since equal values can be recognized."""


def diff(old: Lock, new: Lock) -> list[Change]:
    """Return the changes from the old lock to the new one.

    If a version of an event was removed and another version of the event exists, the contract was changed on purpose. Then only
    privacy is compared, because a new version must not weaken it either.
    """
    changes: list[Change] = []
    for label, event in sorted(old.events.items()):
        if label in new.events:
            changes += _compare_events(label, event, new.events[label])
        else:
            changes += _removed_event(label, event, new.events)
    added = sorted(new.events.keys() - old.events.keys())
    return changes + [_change(label, "", "the event is new", _ADDED) for label in added]


def incompatible(changes: Iterable[Change], mode: Mode) -> list[Change]:
    """Return the changes that are incompatible in a mode."""
    return [change for change in changes if mode in change.modes]


def _change(event: str, where: str, what: str, effect: _Effect) -> Change:
    return Change(event=event, where=where, what=what, **effect._asdict())


def _removed_event(label: str, old: LockedEvent, new_events: Mapping[str, LockedEvent]) -> Iterator[Change]:
    successors = {name: event for name, event in new_events.items() if event.event_name == old.event_name}
    if successors:
        yield _change(label, "", f"replaced by {' and '.join(sorted(successors))}", _ANNOUNCED)
        for name, event in successors.items():
            yield from _compare_privacy(name, old, event)
    elif old.renamed_to in {event.event_name for event in new_events.values()}:
        yield _change(label, "", f"renamed to {old.renamed_to}, as announced", _ANNOUNCED)
    else:
        fix = 'to rename it, first write a lock file with deprecated=Deprecated(renamed_to="…")'
        yield _change(label, "", f"the event was removed; {fix}", _BREAKS_QUERIES)


def _compare_events(label: str, old: LockedEvent, new: LockedEvent) -> Iterator[Change]:
    yield from _compare_attributes(label, old.attributes, new.attributes)
    yield from _compare_privacy(label, old, new)
    for rejection in rejections(old.values, new.values):
        yield _change(
            label, rejection.path, f"the new schema rejects some old events: {rejection.reason}", _REJECTS_OLD
        )
    for rejection in rejections(new.values, old.values):
        yield _change(
            label, rejection.path, f"the old schema rejects some new events: {rejection.reason}", _REJECTS_NEW
        )
    for key in ("severity", "stability", "renamed_to"):
        was, is_now = getattr(old, key), getattr(new, key)
        if was != is_now:
            yield _change(label, "", f"{key} changed from {was} to {is_now}", _REMARK)


def _removed_attribute(
    label: str, name: str, attribute: LockedAttribute, new: Mapping[str, LockedAttribute]
) -> Iterator[Change]:
    """Yield a change for an attribute that is not among the new ones under its name."""
    # Older versions of heliograph allowed properties with names of the actor.
    if name in ACTOR_ONLY and (moved := _name_of_property(attribute, new)):
        what = f"renamed to {moved}, because {name} always means the actor"
        yield _change(label, name, what, _BREAKS_QUERIES)
    elif attribute.renamed_to in new:
        yield _change(label, name, f"renamed to {attribute.renamed_to}, as announced", _ANNOUNCED)
    elif not any(other.startswith(f"{name}.") for other in new):
        # If there are names below it, a dict became a class: its keys are the same attributes as before.
        yield _change(label, name, _text_of_removal(attribute, new), _BREAKS_QUERIES)


def _compare_attributes(
    label: str, old: Mapping[str, LockedAttribute], new: Mapping[str, LockedAttribute]
) -> Iterator[Change]:
    for name, attribute in old.items():
        if name in new:
            yield from _compare_attribute(label, name, attribute, new[name])
        else:
            yield from _removed_attribute(label, name, attribute, new)
    announced = {attribute.renamed_to for attribute in old.values()}
    announced.update(_name_of_property(attribute, new) for name, attribute in old.items() if name in ACTOR_ONLY)
    for name in new:
        if name not in old and name not in announced:
            yield _change(label, name, "the attribute is new", _ADDED)


def _name_of_property(attribute: LockedAttribute, new: Mapping[str, LockedAttribute]) -> str | None:
    """Return the name under which the property of an attribute is among the new ones, or `None`."""
    return next((name for name, other in new.items() if other.path == attribute.path), None)


def _text_of_removal(attribute: LockedAttribute, new: Mapping[str, LockedAttribute]) -> str:
    renamed = _name_of_property(attribute, new)
    if renamed is None:
        return "the attribute was removed"
    fix = "first write a lock file with Attribute(…, deprecated=Deprecated(renamed_to=…))"
    return f"the attribute was renamed to {renamed}; {fix}"


def _compare_attribute(label: str, name: str, old: LockedAttribute, new: LockedAttribute) -> Iterator[Change]:
    for what, was, is_now in (("type", old.type, new.type), ("unit", old.unit, new.unit)):
        if was != is_now:
            yield _change(label, name, f"the attribute's {what} changed from {was} to {is_now}", _BREAKS_QUERIES)
    if old.required and not new.required:
        yield _change(label, name, "the attribute was in every event and may now be missing", _REJECTS_NEW)
    if old.renamed_to != new.renamed_to:
        yield _change(label, name, f"renamed_to changed from {old.renamed_to} to {new.renamed_to}", _REMARK)


def _compare_privacy(label: str, old: LockedEvent, new: LockedEvent) -> Iterator[Change]:
    """Compare the privacy of each property with the strongest privacy that it, a part of it, or one around it had.

    The paths of both sides need not be equal: a class that was dropped as a whole may now declare a privacy for each of its
    fields, or the other way round.
    """
    for path, privacy in new.privacy.items():
        before = [each for other, each in old.privacy.items() if _is_within(path, other) or _is_within(other, path)]
        if not before:
            continue
        was = max(before, key=_BY_PROTECTION.index)
        if _BY_PROTECTION.index(privacy) < _BY_PROTECTION.index(was):
            yield _change(label, path, f"privacy is weakened, from {was.value} to {privacy.value}", _PRIVACY_WEAKENED)
        elif privacy is not was:
            yield _change(label, path, f"privacy is strengthened, from {was.value} to {privacy.value}", _VALUE_HIDDEN)


def _is_within(path: str, other: str) -> bool:
    return path == other or path.startswith(f"{other}.")
