"""The frozen model of an event class: what every part that speaks of a schema reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from heliograph.events import Severity
from heliograph.schema.codegen import attribute_reader
from heliograph.schema.shape import EventLike, FieldSchema, read
from heliograph.schema.values import Attributes, put

MAX_BODY: Final = 256


@dataclass(frozen=True, kw_only=True)
class Body:
    """How the body of an event's log record is made.

    Attributes:
        parts: Literal text, each followed by the name of the attribute that comes after it, or `None`.
    """

    parts: tuple[tuple[str, str | None], ...]

    def render(self, attributes: Attributes) -> str:
        """The body of an event with these attributes; ``?`` stands for one that it does not have."""
        shown = (
            literal if attribute is None else f"{literal}{attributes.get(attribute, '?')}"
            for literal, attribute in self.parts
        )
        return display("".join(shown))


@dataclass(frozen=True, kw_only=True)
class EventSchema:
    """The contract of one event class.

    Attributes:
        event_class: The class.
        name: The event's name, as written: ``"ban-user"``.
        event_name: The event's name on the wire: ``"app.ban_user"``.
        severity: The severity number of its log records.
        fields: Its properties, in the order of the class; `None` for a class without a readable shape, whose
            ``properties()`` are taken as they come.
        body: How its body is made; `None` shows `name`.
        attributes: A function from an event to its properties as attributes; see `heliograph.schema.values` for the form
            of each value. It never raises: what an event carries is for the program that made it to decide.
    """

    event_class: type
    name: str
    event_name: str
    severity: Severity
    fields: tuple[FieldSchema, ...] | None
    body: Body | None = None
    attributes: Callable[[EventLike], Attributes] = field(init=False, repr=False, compare=False)
    _shown_name: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        reader = self._untyped if self.fields is None else attribute_reader(self.fields, self._one_by_one)
        object.__setattr__(self, "attributes", reader)
        object.__setattr__(self, "_shown_name", display(self.name))

    def _untyped(self, event: EventLike) -> Attributes:
        return self._attributes_of(((self.event_name, _properties(event)),))

    def _one_by_one(self, event: EventLike) -> Attributes:
        """The attributes of an event with a field that was deleted or never set, or a property that raises."""
        return self._attributes_of((field.attribute, read(event, field.name)) for field in self.fields or ())

    def _attributes_of(self, values: Iterable[tuple[str, object]]) -> Attributes:
        attributes: Attributes = {}
        for attribute, value in values:
            put(attributes, attribute, value)
        return attributes

    def body_text(self, attributes: Attributes) -> str:
        """The short display string of an event with these attributes."""
        return self._shown_name if self.body is None else self.body.render(attributes)


def display(value: str) -> str:
    """The value as one short line: control characters escaped, cut after 256 characters."""
    if len(value) > MAX_BODY:
        value = value[:MAX_BODY] + "…"
    if value.isprintable():
        return value
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in value)


def _properties(event: EventLike) -> Mapping[str, object]:
    try:
        return event.properties()
    except Exception:  # see EventSchema.attributes: it never raises
        return {key: value for key, value in getattr(event, "__dict__", {}).items() if key not in {"actor", "created"}}
