"""The rules of ``weaver registry live-check`` for log records, so that tests need not run Weaver.

Each rule was seen to be enforced by Weaver 0.25.1, as a finding of the level *violation*. Source: its crate `weaver_live_check`
(`type_advisor`, `deprecated_advisor`, `live_checker`), and ``defaults/policies/live_check_advice/otel.rego``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from heliograph.schema import conventions
from heliograph.schema.export.weaver_v2 import weaver_v2
from heliograph.schema.model.event import EventSchema
from schema.export.weaver_reader import Enum, Event, File, read_v2

NAME = re.compile(r"[a-z][a-z0-9]*([._][a-z0-9]+)*")
PYTHON = {bool: "boolean", int: "int", float: "double", str: "string"}


class LiveCheck:
    """A check of log records against the registry of these schemas."""

    def __init__(self, schemas: Iterable[EventSchema]) -> None:
        self._registry: File = read_v2(weaver_v2(schemas))
        self._events = {event.name: event for event in self._registry.events}
        types = {each.key: "enum" if isinstance(each.type, Enum) else each.type for each in self._registry.attributes}
        for event in self._registry.events:
            for reference in event.attributes:
                convention = conventions.find(reference.ref)
                if convention is not None:
                    types[reference.ref] = "enum" if convention.members else convention.type
        self._types = types
        self._templates = tuple(f"{name}." for name, kind in types.items() if kind.startswith("template["))

    def violations(self, event_name: str, attributes: Mapping[str, Any]) -> list[str]:
        """Return the violations of one log record."""
        event = self._events.get(event_name)
        found = [] if event is None else list(_of_event(event, attributes))
        if event is None:
            found = [f"missing_event: {event_name}"]
        return [*found, *(each for name, value in attributes.items() for each in self._of_attribute(name, value))]

    def _of_attribute(self, name: str, value: object) -> Iterator[str]:
        if name.startswith(self._templates):
            return
        if name not in self._types:
            yield f"missing_attribute: {name}"
        elif not _fits(value, self._types[name]):
            yield f"type_mismatch: {name}"
        if not NAME.fullmatch(name):
            yield f"invalid_format: {name}"
        if any(name.startswith(f"{other}.") for other in self._types):
            yield f"illegal_namespace: {name}"


def _of_event(event: Event, attributes: Mapping[str, Any]) -> Iterator[str]:
    if event.deprecated is not None:
        yield f"deprecated: {event.name}"
    for reference in event.attributes:
        if reference.requirement_level == "required" and reference.ref not in attributes:
            yield f"required_attribute_not_present: {reference.ref}"


def _fits(value: object, kind: str) -> bool:
    """Return True if Weaver accepts the value. An array that is empty or of mixed types has no type, and is accepted."""
    items = value if isinstance(value, (list, tuple)) else [value]
    suffix = "[]" if isinstance(value, (list, tuple)) else ""
    found = {PYTHON[type(item)] + suffix for item in items}
    if kind in {"any", "template[any]"} or len(found) != 1:
        return True
    if kind == "enum":
        return found <= {"string", "int"}
    return found == {kind} or (kind.startswith("double") and found <= {kind, kind.replace("double", "int")})
