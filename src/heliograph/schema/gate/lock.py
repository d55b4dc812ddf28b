"""The lock file: the contracts of a set of event classes, as a document that is committed beside the code.

It contains what people and programs rely on, and nothing else: no briefs, notes or examples. In its text, keys are sorted and
each is on its own line, so that a small change of a class is a small change of the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from heliograph.errors import FileFormatError
from heliograph.events import Privacy, Stability
from heliograph.schema.export.json_schema import json_schema
from heliograph.schema.gate.compatibility import rejections
from heliograph.schema.model.event import EventSchema
from heliograph.schema.model.wire_attributes import WireAttribute, privacy_by_path
from heliograph.values.privacy import PrivacyPolicy

FORMAT: Final = 1
"""The version of the lock file's format. Raise it if a key is added, removed or changes its meaning."""

_CONTRACT: Final = ("type", "properties", "required", "$defs")
"""The keywords at the top of an event's JSON Schema that are locked."""

_ANNOTATIONS: Final = frozenset({"description", "examples", "deprecated", "format"})
"""Keywords that are not locked, because they reject no value. (What a ``format`` means is in its ``pattern`` as well.)"""

_AS_DECLARED: Final = PrivacyPolicy(key="", opt_in=())
"""The privacy that the classes declare, independent of the settings of the process that writes the lock."""


class LockedAttribute(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The contract of one attribute.

    Attributes:
        path: The place of its value in the event's properties: ``customer.name``.
        type: Its type on the wire; see `heliograph.schema.model.wire_attributes.WireAttribute.wire_type`.
        required: True if every event has it.
        requirement: Its requirement level.
        unit: Its unit.
        renamed_to: The announced new name.
    """

    path: str
    type: str
    required: bool
    requirement: str
    unit: str | None
    renamed_to: str | None


class LockedEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The contract of one event.

    Attributes:
        event_name: Its name on the wire.
        version: Its version.
        severity: Its severity number.
        stability: Its stability level.
        renamed_to: The announced new name.
        attributes: Its attributes, by name.
        privacy: The declared privacy, by the path of a property. Items of lists and dicts have the path of the list or dict.
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
    """The contracts of a set of event classes.

    Attributes:
        events: The events, by event name and version: ``app.order@2``.
        format: The version of the file format.
    """

    events: dict[str, LockedEvent]
    format: int = FORMAT


def lock_of(schemas: Iterable[EventSchema]) -> Lock:
    """Return the lock of these schemas, without those of classes whose fields are unknown."""
    return Lock(events={schema.label: _lock_event(schema) for schema in schemas if schema.fields is not None})


def _lock_event(schema: EventSchema) -> LockedEvent:
    document = json_schema(schema)
    return LockedEvent(
        event_name=schema.event_name,
        version=schema.version,
        severity=int(schema.severity),
        stability=schema.stability,
        renamed_to=None if schema.deprecated is None else schema.deprecated.renamed_to,
        attributes={attribute.name: _lock_attribute(attribute) for attribute in schema.wire_attributes()},
        privacy=dict(privacy_by_path(schema.fields or (), _AS_DECLARED)),
        values=_without_annotations({key: document[key] for key in _CONTRACT if key in document}),
    )


def _lock_attribute(attribute: WireAttribute) -> LockedAttribute:
    declared = attribute.field.declared
    return LockedAttribute(
        path=attribute.path,
        type=attribute.wire_type,
        required=attribute.required,
        requirement=attribute.field.requirement,
        unit=declared.unit,
        renamed_to=None if declared.deprecated is None else declared.deprecated.renamed_to,
    )


def _without_annotations(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON Schema without the keywords that reject no value."""
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        # The keys below these two are names that an author chose: a property may be called "description".
        if key in {"properties", "$defs"}:
            kept[key] = {name: _without_annotations(inner) for name, inner in value.items()}
        elif key not in _ANNOTATIONS and not key.startswith("x-"):
            kept[key] = _without_inner_annotations(value)
    return kept


def _without_inner_annotations(value: object) -> object:
    if isinstance(value, dict):
        return _without_annotations(value)
    return [_without_inner_annotations(each) for each in value] if isinstance(value, list) else value


def dumps(lock: Lock) -> str:
    """Return the text of a lock file."""
    return json.dumps(msgspec.to_builtins(lock), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def loads(text: str) -> Lock:
    """Return the lock in the text of a lock file.

    Raises:
        FileFormatError: The text is not a lock file, or one of a format that this version does not know.
    """
    try:
        lock = msgspec.json.decode(text, type=Lock)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise FileFormatError(f"not a lock file: {error}") from error
    if lock.format != FORMAT:
        raise FileFormatError(
            f"lock file of format {lock.format}, but this version of heliograph reads format {FORMAT}; "
            "write the file again with `heliograph schema lock`"
        )
    for label, event in lock.events.items():
        # A comparison with itself visits every keyword, so that a damaged schema is reported here, by the event's name,
        # and not as a crash in `diff`.
        try:
            rejections(event.values, event.values)
        except (AttributeError, LookupError, RecursionError, TypeError) as error:
            raise FileFormatError(f"the values of {label!r} are not a JSON Schema: {error!r}") from error
    return lock
