"""The contract of an event class: frozen data that every other part of the package reads."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from heliograph.events import Deprecated, Stability, Upcaster
from heliograph.schema.model.message import MessageTemplate
from heliograph.schema.model.types import FieldSchema, ObjectType, walk_types
from heliograph.schema.model.wire_attributes import WireAttribute, wire_attributes
from heliograph.values.attributes import Attributes
from heliograph.values.privacy import PrivacyPolicy
from heliograph.values.text import display


@dataclass(frozen=True, kw_only=True)
class EventSchema:
    """The contract of one event class.

    It is only data. `heliograph.schema.read.event.EventReader` reads events with it, `heliograph.schema.export` writes it
    in other formats, and `heliograph.schema.gate` compares it with an older one.

    Attributes:
        event_class: The event class.
        name: The event's name as the class writes it, such as ``"ban-user"``.
        event_name: The event's name on the wire, such as ``"app.ban_user"``.
        severity: The severity number of its log records.
        fields: Its properties, in the order of the class. `None` if the class has no fields that can be read; its events
            are then exported by their ``properties()``.
        version: The version of the contract, or `None`.
        brief: A description of the event in one sentence.
        note: Further explanation, possibly of several paragraphs.
        stability: The stability level of the contract.
        deprecated: Set if the event is deprecated.
        message: The template of the body as the class writes it, or `None`.
        body: The same template, parsed. `None` shows `name`.
        upcasters: By older version: the function that turns properties of that version into properties of this one.
        policy: The privacy policy under which its values are exported.
        is_declared: False for an unregistered subclass and for a class without readable fields. Each of their events counts as
            the violation ``unplanned-event``.
        renamed: The same contract under its new name, if events are emitted under both names.
    """

    event_class: type
    name: str
    event_name: str
    severity: int
    fields: tuple[FieldSchema, ...] | None
    version: str | None = None
    brief: str = ""
    note: str = ""
    stability: Stability = "development"
    deprecated: Deprecated | None = None
    message: str | None = None
    body: MessageTemplate | None = None
    upcasters: Mapping[str, Upcaster] = field(default_factory=dict)
    policy: PrivacyPolicy = field(default_factory=PrivacyPolicy, repr=False, compare=False)
    is_declared: bool = True
    renamed: EventSchema | None = None

    @property
    def label(self) -> str:
        """The event name and the version, such as ``"app.order@2"``."""
        return self.event_name if self.version is None else f"{self.event_name}@{self.version}"

    def emitted_fields(self) -> Iterator[FieldSchema]:
        """Yield the fields, then a copy of each field that is also emitted under its new name."""
        fields = self.fields or ()
        yield from fields
        for each in fields:
            deprecated = each.declared.deprecated
            if deprecated is not None and deprecated.emit_both:
                declared = dataclasses.replace(each.declared, name=deprecated.renamed_to, deprecated=None)
                yield dataclasses.replace(each, attribute=deprecated.renamed_to, declared=declared)

    def wire_attributes(self) -> Iterator[WireAttribute]:
        """Yield the attributes that its properties become on the wire."""
        return wire_attributes(self.emitted_fields(), self.event_name)

    def fields_named_like_the_actor(self) -> Iterator[FieldSchema]:
        """Yield each field, at any depth, whose annotation names an attribute of the actor."""
        for each in self.fields or ():
            objects = (kind for kind in walk_types(each.type) if isinstance(kind, ObjectType))
            inside = itertools.chain.from_iterable(kind.fields for kind in objects)
            yield from (found for found in (each, *inside) if found.actor_attribute is not None)

    def body_text(self, attributes: Attributes) -> str:
        """Return the short display string of an event that has these attributes."""
        return display(self.name) if self.body is None else self.body.render(attributes)
