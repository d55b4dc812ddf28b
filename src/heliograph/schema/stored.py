"""An event that was set aside, read again: its properties are forms now, and protected already."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from heliograph.declaration import Privacy
from heliograph.schema.model import EventSchema
from heliograph.schema.privacy import DROPPED, HASH_PREFIX, MASKED, PrivacyPolicy, Protected
from heliograph.schema.reader import spread
from heliograph.schema.shape import FieldSchema
from heliograph.schema.types import ObjectType, Type, inner
from heliograph.schema.validate import Violation, violations_of_fields
from heliograph.schema.values import Attributes

_PROTECTED: Final = re.compile(rf"{re.escape(MASKED)}|{HASH_PREFIX}[0-9a-f]{{64}}")
_INDEX: Final = re.compile(r"\[\d+\]|\{\}")


def read_stored(schema: EventSchema, properties: Mapping[str, object]) -> tuple[Attributes, list[Violation]]:
    """The attributes of properties that `EventSchema.public_properties` gave, and what is wrong with them.

    What was protected stays as it is, and is not checked: what it was, nobody knows any more. What the class protects since
    then is protected now.
    """
    attributes: Attributes = {}
    for reader in schema.readers:
        left = reader.protected(_marked(properties.get(reader.field.name)))
        if left is not DROPPED:
            spread(attributes, reader.attribute, left, reader.field.type, reader.taken)
    private = frozenset(_private_paths(schema.fields or (), schema.policy))
    violations = violations_of_fields(properties, schema.fields or ())
    return attributes, [each for each in violations if not _is_inside(each.path, private)]


def _marked(form: object) -> object:
    """The form, with what protection left in it marked as such."""
    if isinstance(form, str):
        return Protected(form) if _PROTECTED.fullmatch(form) else form
    if isinstance(form, dict):
        return {key: _marked(value) for key, value in form.items()}
    return list(map(_marked, form)) if isinstance(form, list) else form


def _private_paths(
    fields: Iterable[FieldSchema], policy: PrivacyPolicy, prefix: str = "", parents: tuple[Type, ...] = ()
) -> Iterator[str]:
    """The paths, without indices, of what is protected in an event of these fields."""
    for field in fields:
        path = f"{prefix}{field.name}"
        if policy.of(field.declared, field.attribute, around=Privacy.PLAIN if prefix else None) is not Privacy.PLAIN:
            yield path
        else:
            for kind in _objects(field.type):
                if kind not in parents:
                    yield from _private_paths(kind.fields, policy, f"{path}.", (*parents, kind))


def _objects(kind: Type) -> Iterator[ObjectType]:
    """The classes with fields that a type holds, but for those inside of one another."""
    if isinstance(kind, ObjectType):
        yield kind
    else:
        for each in inner(kind):
            yield from _objects(each)


def _is_inside(path: str, private: frozenset[str]) -> bool:
    parts = _INDEX.sub("", path).split(".")
    return any(".".join(parts[: length + 1]) in private for length in range(len(parts)))
