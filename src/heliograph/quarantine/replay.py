"""Prepare an event from the quarantine for being emitted, after its class was fixed."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from heliograph.classes import qualified_name
from heliograph.errors import NotReplayable
from heliograph.events import Upcaster
from heliograph.quarantine.record import InvalidRecord
from heliograph.schema.read.event import EventReader
from heliograph.schema.read.stored_properties import read_stored_properties
from heliograph.schema.read.validation import describe_violations
from heliograph.schema.registry import SchemaRegistry
from heliograph.values.attributes import Attributes
from heliograph.values.forms import form_of


def prepare(schemas: SchemaRegistry, record: InvalidRecord) -> tuple[EventReader, Attributes]:
    """Return the reader of the class that emits the event now, and the wire attributes of its properties.

    If the event's version is registered, its properties are used as they are. Otherwise they are converted by the
    upcaster of a registered class that declares one for that version.

    Raises:
        NotReplayable: The event is still invalid, or no registered class can read its version.
    """
    reader, properties = _current_version(schemas.versions(record.event_name), record)
    attributes, violations = read_stored_properties(reader.schema, properties)
    if violations:
        raise NotReplayable(describe_violations(violations))
    return reader, attributes


def _current_version(
    readers: Mapping[str | None, EventReader], record: InvalidRecord
) -> tuple[EventReader, Mapping[str, object]]:
    """Return the reader to use, and the event's properties as its class expects them."""
    if not readers:
        raise NotReplayable(
            [f"no source has an event class with the event name {record.event_name!r}; add the source that has it"]
        )
    if record.version in readers:
        return readers[record.version], record.properties
    for reader in readers.values():
        upcaster = reader.schema.upcasters.get(str(record.version))
        if upcaster is not None:
            return reader, _upcast(upcaster, record)
    known = ", ".join(map(repr, readers))
    raise NotReplayable(
        [
            f"the event has version {record.version!r}, but the sources have {known}: add an upcaster, a function "
            f"decorated with @{next(iter(readers.values())).schema.event_class.__name__}"
            f".upcast(from_version={str(record.version)!r})"
        ]
    )


def _upcast(upcaster: Upcaster, record: InvalidRecord) -> Mapping[str, object]:
    """Return the forms of the properties that the upcaster returns."""
    try:
        # A deep copy: an upcaster may change its argument, and the record must remain as it is in the file.
        properties = dict(upcaster(copy.deepcopy(dict(record.properties))))
    except Exception as error:
        # The program's own code may raise anything.
        # Only the class of the error: its message may carry a value of the event.
        raise NotReplayable(
            [f"the upcaster from version {record.version!r} failed: {qualified_name(error)}"]
        ) from error
    # It may return any value of Python, such as a `datetime` or NaN. Forms are validated, as when an event is tracked.
    return {name: form_of(value) for name, value in properties.items()}
