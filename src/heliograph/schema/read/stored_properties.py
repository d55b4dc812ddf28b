"""Read the properties of an event that was put into the quarantine.

They are forms already, not Python values, and they were protected before they were stored. Protection cannot be undone or
repeated: ``<masked>`` must not be hashed, and a hash must not be validated as if it were the value. A text that is
``<masked>`` or has the form of a hash therefore counts as already protected, and is exported unchanged. A value could only
pass for one if it had that form before it was stored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from heliograph.events import Privacy
from heliograph.schema.model.event import EventSchema
from heliograph.schema.model.wire_attributes import privacy_by_path
from heliograph.schema.read.field import field_readers
from heliograph.schema.read.validation import Violation, violations_of_fields
from heliograph.values.attributes import Attributes, without_opted_out
from heliograph.values.privacy import (
    DROPPED,
    HASH_PREFIX,
    MASKED,
    Protected,
)

_PROTECTED: Final = re.compile(rf"{re.escape(MASKED)}|{HASH_PREFIX}[0-9a-f]{{64}}")
_INDEX: Final = re.compile(r"\[\d+\]|\{\}")


def read_stored_properties(schema: EventSchema, properties: Mapping[str, object]) -> tuple[Attributes, list[Violation]]:
    """Return the attributes and the violations of stored properties.

    Values that were protected when they were stored are exported as they are and not validated. Values that the class
    declares private since then are protected now.

    Args:
        schema: The schema of the event, in the version that the properties have after upcasters.
        properties: The forms that `heliograph.schema.read.event.EventReader.protected_properties` returned.
    """
    attributes: Attributes = {}
    for reader in field_readers(schema):
        exported = reader.protect(_with_marks(properties.get(reader.field.name)))
        if exported is not DROPPED:
            reader.add(attributes, exported)
    attributes = without_opted_out(attributes, schema.policy)
    by_path = privacy_by_path(schema.fields or (), schema.policy)
    private = frozenset(path for path, privacy in by_path if privacy is not Privacy.PLAIN)
    violations = violations_of_fields(properties, schema.fields or ())
    return attributes, [each for each in violations if not _is_at_or_below(each.path, private)]


def _with_marks(form: object) -> object:
    """Return the form with each text that protection put there as `Protected`, so that it is not protected again."""
    if isinstance(form, str):
        return Protected(form) if _PROTECTED.fullmatch(form) else form
    if isinstance(form, dict):
        return {key: _with_marks(value) for key, value in form.items()}
    return list(map(_with_marks, form)) if isinstance(form, list) else form


def _is_at_or_below(path: str, ancestors: frozenset[str]) -> bool:
    parts = _INDEX.sub("", path).split(".")
    return any(".".join(parts[: length + 1]) in ancestors for length in range(len(parts)))
