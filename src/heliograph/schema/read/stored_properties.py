"""An event that was set aside, read again: its properties are forms now, and protected already."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from heliograph.events import Privacy
from heliograph.schema.model.event import EventSchema
from heliograph.schema.model.wire_attributes import privacy_by_path
from heliograph.schema.read.field import add_typed_attributes, field_readers
from heliograph.schema.read.validation import Violation, violations_of_fields
from heliograph.values.attributes import Attributes
from heliograph.values.privacy import (
    DROPPED,
    HASH_PREFIX,
    MASKED,
    Protected,
)

_PROTECTED: Final = re.compile(rf"{re.escape(MASKED)}|{HASH_PREFIX}[0-9a-f]{{64}}")
_INDEX: Final = re.compile(r"\[\d+\]|\{\}")


def read_stored_properties(schema: EventSchema, properties: Mapping[str, object]) -> tuple[Attributes, list[Violation]]:
    """The attributes of properties that `EventReader.protected_properties` gave, and what is wrong with them.

    What was protected stays as it is, and is not checked: what it was, nobody knows any more. What the class protects since
    then is protected now.
    """
    attributes: Attributes = {}
    for reader in field_readers(schema):
        left = reader.protected(_marked(properties.get(reader.field.name)))
        if left is not DROPPED:
            add_typed_attributes(attributes, reader.attribute, left, reader.field.type, reader.reserved)
    by_path = privacy_by_path(schema.fields or (), schema.policy)
    private = frozenset(path for path, privacy in by_path if privacy is not Privacy.PLAIN)
    violations = violations_of_fields(properties, schema.fields or ())
    return attributes, [each for each in violations if not _is_inside(each.path, private)]


def _marked(form: object) -> object:
    """The form, with what protection left in it marked as such."""
    if isinstance(form, str):
        return Protected(form) if _PROTECTED.fullmatch(form) else form
    if isinstance(form, dict):
        return {key: _marked(value) for key, value in form.items()}
    return list(map(_marked, form)) if isinstance(form, list) else form


def _is_inside(path: str, private: frozenset[str]) -> bool:
    parts = _INDEX.sub("", path).split(".")
    return any(".".join(parts[: length + 1]) in private for length in range(len(parts)))
