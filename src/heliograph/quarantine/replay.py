"""An event that was set aside, made ready to be emitted once its class was mended."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from heliograph.errors import NotReplayable, qualified_name
from heliograph.quarantine.record import InvalidRecord
from heliograph.schema.read.event import EventReader
from heliograph.schema.read.stored_properties import read_stored_properties
from heliograph.schema.read.validation import describe_violations
from heliograph.schema.registry import SchemaRegistry
from heliograph.values.attributes import Attributes


def prepare(schemas: SchemaRegistry, record: InvalidRecord) -> tuple[EventReader, Attributes]:
    """The schema by which the event is emitted now, and its attributes.

    A version that is still registered is taken as it is; an older one goes through the upcaster of a class that has one
    for it.

    Raises:
        NotReplayable: Says why not, and the mend.
    """
    reader, properties = _upcast(schemas.versions(record.event_name), record)
    attributes, violations = read_stored_properties(reader.schema, properties)
    if violations:
        raise NotReplayable(describe_violations(violations))
    return reader, attributes


def _upcast(
    readers: Mapping[str | None, EventReader], record: InvalidRecord
) -> tuple[EventReader, Mapping[str, object]]:
    if not readers:
        raise NotReplayable([f"no class for the event {record.event_name!r} is among the sources"])
    if record.version in readers:
        return readers[record.version], record.properties
    for reader in readers.values():
        upcaster = reader.schema.upcasters.get(str(record.version))
        if upcaster is not None:
            try:
                return reader, dict(upcaster(copy.deepcopy(dict(record.properties))))
            except Exception as error:  # a program's own code may do anything
                raise NotReplayable(
                    [f"the upcaster from version {record.version!r} failed: {qualified_name(error)}"]
                ) from error
    known = ", ".join(map(repr, readers))
    raise NotReplayable(
        [
            f"it is of version {record.version!r}, and the sources have {known}: decorate a function with "
            f"@{next(iter(readers.values())).schema.event_class.__name__}.upcast(from_version={str(record.version)!r})"
        ]
    )
