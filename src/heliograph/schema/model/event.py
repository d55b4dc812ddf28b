"""The frozen model of an event class: what every part that speaks of a schema reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from heliograph.events import (
    Deprecated,
    EventLike,
    Severity,
    Stability,
    Upcaster,
)
from heliograph.schema.model.message import Body
from heliograph.schema.model.types import FieldSchema
from heliograph.schema.model.wire_attributes import Leaf, leaves
from heliograph.schema.read.coverage import CoverageRecorder
from heliograph.schema.read.field import FieldReader
from heliograph.schema.read.generated import AttributesOf, attribute_reader
from heliograph.schema.read.validation import Violation
from heliograph.semconv import ACTOR_ATTRIBUTES
from heliograph.values.attributes import Attributes, put
from heliograph.values.forms import public
from heliograph.values.introspect import declared_privacy, field_names, read
from heliograph.values.privacy import DROPPED, PrivacyPolicy
from heliograph.values.text import display


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
        version: The version of the contract, if the class has one.
        brief: What happened, in one sentence.
        note: More than that.
        stability: How firm the contract is.
        deprecated: That the event is on its way out.
        message: The template of its body, as written; `None` shows `name`.
        body: How its body is made; `None` shows `name`.
        upcasters: By older version: what makes properties of this version from those of that one.
        policy: What may leave of its values.
        is_planned: Whether somebody registered it, with a shape that can be checked.
        renamed: The same contract under the new name, where events are emitted under both.
        attributes: A function from an event, and a list to fill with `Violation`s (or `None`, not to check), to its properties
            as attributes; see `heliograph.values.forms` for the form of each value. It never raises: what an event
            carries is for the program that made it to decide.
        readers: What reads each field, as emitted.
        recorder: Records what is seen of it.
        shared_names: The attributes that an actor has, too.
    """

    event_class: type
    name: str
    event_name: str
    severity: Severity
    fields: tuple[FieldSchema, ...] | None
    version: str | None = None
    brief: str = ""
    note: str = ""
    stability: Stability = "development"
    deprecated: Deprecated | None = None
    message: str | None = None
    body: Body | None = None
    upcasters: Mapping[str, Upcaster] = field(default_factory=dict)
    policy: PrivacyPolicy = field(default_factory=PrivacyPolicy, repr=False, compare=False)
    is_planned: bool = True
    renamed: EventSchema | None = None
    attributes: AttributesOf = field(init=False, repr=False, compare=False)
    readers: tuple[FieldReader, ...] = field(init=False, repr=False, compare=False)
    recorder: CoverageRecorder = field(init=False, repr=False, compare=False)
    shared_names: frozenset[str] = field(init=False, repr=False, compare=False)
    _shown_name: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        leaves = list(self.leaves())
        taken = frozenset(leaf.attribute for leaf in leaves)
        readers = tuple(
            FieldReader(
                each, each.attribute_below(self.event_name), self.policy, taken, checks=each in (self.fields or ())
            )
            for each in emitted_fields(self.fields or ())
        )
        attributes = self._untyped if self.fields is None else attribute_reader(readers, self.policy, self._one_by_one)
        object.__setattr__(self, "attributes", attributes)
        object.__setattr__(self, "recorder", CoverageRecorder(leaves))
        object.__setattr__(self, "shared_names", taken.intersection(ACTOR_ATTRIBUTES.values()))
        object.__setattr__(self, "readers", readers)
        object.__setattr__(self, "_shown_name", display(self.name))

    @property
    def label(self) -> str:
        """Its event name, and its version: ``"app.order@2"``."""
        return self.event_name if self.version is None else f"{self.event_name}@{self.version}"

    def leaves(self) -> Iterator[Leaf]:
        """The attributes that its properties become."""
        return leaves(emitted_fields(self.fields or ()), self.event_name)

    def public_properties(self, event: EventLike) -> dict[str, object]:
        """What may leave of the event's properties, each in its form."""
        if self.fields is None:
            return self._untyped_properties(event)
        forms = ((reader.field.name, reader.read(read(event, reader.field.name))) for reader in self.readers)
        return {name: form for name, form in forms if form is not DROPPED}

    def _untyped_properties(self, event: EventLike) -> dict[str, object]:
        names = field_names(type(event)) or ()
        properties = _properties(event)
        as_they_are = {
            name: read(event, name) for name in names if name in properties
        }  # with the privacy of their classes
        form, _ = public({**properties, **as_they_are}, self.policy)
        return self.policy.within(form, declared_privacy(type(event)), around=None) if isinstance(form, dict) else {}

    def _untyped(self, event: EventLike, violations: list[Violation] | None = None) -> Attributes:  # noqa: ARG002
        attributes: Attributes = {}
        put(attributes, self.event_name, self._untyped_properties(event))
        return attributes

    def _one_by_one(self, event: EventLike, violations: list[Violation] | None) -> Attributes:
        """The attributes of an event that is not of the common case, with what is wrong with it."""
        attributes: Attributes = {}
        if violations is not None:
            violations.clear()
        for reader in self.readers:
            reader(attributes, read(event, reader.field.name), violations)
        return attributes

    def body_text(self, attributes: Attributes) -> str:
        """The short display string of an event with these attributes."""
        return self._shown_name if self.body is None else self.body.render(attributes)


def emitted_fields(fields: tuple[FieldSchema, ...]) -> Iterator[FieldSchema]:
    """The fields; after them, those that are emitted under another name, too."""
    yield from fields
    for each in fields:
        deprecated = each.declared.deprecated
        if deprecated is not None and deprecated.emit_both:
            declared = dataclasses.replace(each.declared, name=deprecated.renamed_to, deprecated=None)
            yield dataclasses.replace(each, attribute=deprecated.renamed_to, declared=declared)


def _properties(event: EventLike) -> Mapping[str, object]:
    try:
        return dict(event.properties())
    except Exception:  # see EventSchema.attributes: it never raises
        return {key: value for key, value in getattr(event, "__dict__", {}).items() if key not in {"actor", "created"}}
