"""What a set of schemas promises, as a document that is kept beside the code.

It has in it what somebody can rely on, and nothing else: no briefs, notes or examples. Keys are sorted and each stands on a
line of its own, so that a change of a class is a change of a few lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from heliograph.errors import FileFormatError
from heliograph.events import Privacy, Stability
from heliograph.schema.export.json_schema import json_schema
from heliograph.schema.gate.compatibility import refusals
from heliograph.schema.model.event import EventSchema
from heliograph.schema.model.wire_attributes import WireAttribute, privacy_by_path
from heliograph.values.privacy import PrivacyPolicy

FORMAT: Final = 1
_CONTRACT: Final = ("type", "properties", "required", "$defs")
_AS_DECLARED: Final = PrivacyPolicy(key="", opt_in=())


class LockedAttribute(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is promised of an attribute.

    Attributes:
        path: Where its value is in the event's properties.
        type: What arrives of it; see `heliograph.schema.model.wire_attributes.WireAttribute.wire_type`.
        required: Whether every event has it.
        requirement: Its requirement level.
        unit: Its unit.
        renamed_to: The name that takes its place.
    """

    path: str
    type: str
    required: bool
    requirement: str
    unit: str | None
    renamed_to: str | None


class LockedEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is promised of an event.

    Attributes:
        event_name: Its name on the wire.
        version: Its version.
        severity: Its severity number.
        stability: How firm the promise is.
        renamed_to: The name that takes its place.
        attributes: Its attributes, by name.
        privacy: What may leave, by the path of a property; of lists and dicts, those of their items.
        values: The JSON Schema of its properties, without annotations.
    """

    event_name: str
    version: str | None
    severity: int
    stability: Stability
    renamed_to: str | None
    attributes: dict[str, LockedAttribute]
    privacy: dict[str, Privacy]
    values: dict[str, Any]


class Lock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The promises of several schemas.

    Attributes:
        events: By event name and version: ``app.order@2``.
        format: The version of this form.
    """

    events: dict[str, LockedEvent]
    format: int = FORMAT


def lock_of(schemas: Iterable[EventSchema]) -> Lock:
    """The promises of these schemas; those without a readable shape promise nothing."""
    return Lock(events={schema.label: _event(schema) for schema in schemas if schema.fields is not None})


def _event(schema: EventSchema) -> LockedEvent:
    written = json_schema(schema)
    return LockedEvent(
        event_name=schema.event_name,
        version=schema.version,
        severity=int(schema.severity),
        stability=schema.stability,
        renamed_to=None if schema.deprecated is None else schema.deprecated.renamed_to,
        attributes={attribute.name: _attribute(attribute) for attribute in schema.wire_attributes()},
        privacy=dict(privacy_by_path(schema.fields or (), _AS_DECLARED)),
        values=_without_annotations({key: written[key] for key in _CONTRACT if key in written}),
    )


def _attribute(attribute: WireAttribute) -> LockedAttribute:
    declared = attribute.field.declared
    return LockedAttribute(
        path=attribute.path,
        type=attribute.wire_type,
        required=attribute.required,
        requirement=attribute.field.requirement,
        unit=declared.unit,
        renamed_to=None if declared.deprecated is None else declared.deprecated.renamed_to,
    )


_ANNOTATIONS: Final = frozenset({"description", "examples", "deprecated", "format"})


def _without_annotations(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON Schema without the keywords that say nothing of which values are accepted."""
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key in {"properties", "$defs"}:
            kept[key] = {name: _without_annotations(inner) for name, inner in value.items()}
        elif key not in _ANNOTATIONS and not key.startswith("x-"):
            kept[key] = _inside(value)
    return kept


def _inside(value: object) -> object:
    if isinstance(value, dict):
        return _without_annotations(value)
    return [_inside(each) for each in value] if isinstance(value, list) else value


def dumps(lock: Lock) -> str:
    """The document as text."""
    return json.dumps(msgspec.to_builtins(lock), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def loads(text: str) -> Lock:
    """The document that the text is of.

    Raises:
        FileFormatError: It is none, or of a format that this version does not know.
    """
    try:
        lock = msgspec.json.decode(text, type=Lock)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise FileFormatError(f"it is no lock file: {error}") from error
    if lock.format != FORMAT:
        raise FileFormatError(f"it is of the format {lock.format}, and this version knows {FORMAT}")
    for label, event in lock.events.items():
        try:
            refusals(event.values, event.values)
        except (AttributeError, LookupError, RecursionError, TypeError) as error:
            raise FileFormatError(f"the values of {label!r} are no JSON Schema: {error!r}") from error
    return lock
