"""Keep the schemas of a host's event classes, and the readers of their events.

One thread at a time registers classes, usually while a host starts. Any thread may look up a class at any time. Each step on a dict is
atomic; two threads that look up the same unregistered subclass for the first time may both create a reader, and `dict.setdefault` makes
sure that both return the same one. The readers of subclasses are dropped with each new class, which may be a nearer ancestor: their dict is
replaced and not emptied, so that a look-up that has begun before does not add a reader of the former ancestor.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from heliograph.classes import ancestors, qualified_name
from heliograph.errors import DuplicateEventName, SchemaError, SchemaErrors, UnregisteredEvent
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.program_errors import program_errors
from heliograph.runtime.program_failures import ProgramCode, report
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.schema.compile.derived import inherit_schema, masked_schema, specialize_schema
from heliograph.schema.compile.event_class import compile_schema, compile_untyped
from heliograph.schema.model.event import EventSchema
from heliograph.schema.read.coverage import Coverage
from heliograph.schema.read.event import EventReader
from heliograph.semconv import SCOPE
from heliograph.settings import Settings
from heliograph.values.privacy import PrivacyPolicy

logger: Final = SafeLogger(SCOPE)
MAX_INHERITED: Final = 1024
"""The largest number of unregistered subclasses whose readers are kept. A program may make classes without end."""

on_register: Final[list[Callable[[EventReader], None]]] = []
"""Functions that are called with the reader of each class that any registry registers, for tools that watch a process."""


class SchemaRegistry(Mapping[type, EventSchema]):
    """The schemas of the registered event classes: a mapping from class to `EventSchema`.

    Looking up an unregistered subclass gives the schema of its nearest registered ancestor, with the subclass's own
    further fields.

    Args:
        namespace: The first part of the event name of classes that declare no namespace.
        policy: The privacy policy. `None` is one without a key for hashes, which exports values as the classes declare.
        on_add: Called with the reader of each class that is registered.

    Attributes:
        namespace: The namespace.
        policy: The privacy policy.
    """

    def __init__(
        self,
        *,
        namespace: str,
        policy: PrivacyPolicy | None = None,
        on_add: Callable[[EventReader], None] | None = None,
    ) -> None:
        self.namespace = namespace
        self._on_add = on_add
        self.policy = policy or PrivacyPolicy()
        self._readers: dict[type, EventReader] = {}
        self._own: dict[type, EventReader] = {}
        self._inherited: dict[type, EventReader] = {}  # the readers of unregistered subclasses
        self._by_event_name: dict[tuple[str, str | None], EventReader] = {}
        self._renamed: list[EventSchema] = []  # the second schemas of classes whose events are emitted under two names
        self._failures = LimitedLog(logger)

    @classmethod
    def from_settings(cls, settings: Settings, on_add: Callable[[EventReader], None] | None = None) -> SchemaRegistry:
        """Return an empty registry with the namespace and the privacy of the settings."""
        policy = PrivacyPolicy(
            key=settings.privacy_key,
            default=settings.privacy_default,
            opt_in=settings.opt_in,
            opt_out=settings.opt_out,
        )
        return cls(namespace=settings.namespace, policy=policy, on_add=on_add)

    def register(self, event_class: type, *, namespace: str | None = None) -> EventSchema:
        """Compile the schema of an event class, add it, and return it.

        If the class is registered already, return its schema. Several versions of one event can be registered side by side.

        Args:
            event_class: The class.
            namespace: The namespace if the class declares none; `None` is the registry's.

        Raises:
            SchemaError: The class has no schema, or events of another class have its name and version, and an attribute of another type.
            DuplicateEventName: Another class has the same event name and version.
        """
        known = self._readers.get(event_class) or self._own.get(event_class)
        if known is not None:
            return known.schema
        schema = compile_schema(event_class, namespace=namespace or self.namespace, policy=self.policy)
        self._check_shared_names(schema)
        reader = EventReader(schema, specialize_schema)
        first = self._by_event_name.setdefault((schema.event_name, schema.version), reader)
        if first is not reader:
            raise DuplicateEventName(event_class, first.schema.event_class, schema.event_name)
        if schema.renamed is not None:
            self._renamed.append(schema.renamed)
        _warn_of_actor_attributes(schema)
        return self._add(reader)

    def register_own(self, event_classes: Iterable[type]) -> None:
        """Add heliograph's own events: they have readers, and are not among the classes of the program."""
        for event_class in event_classes:
            schema = dataclasses.replace(_schema_of_own(event_class), policy=self.policy)
            reader = self._own[event_class] = EventReader(schema, specialize_schema)
            if self._on_add is not None:
                self._on_add(reader)

    @property
    def own(self) -> list[EventSchema]:
        """The schemas of heliograph's own events."""
        return [reader.schema for reader in self._own.values()]

    def register_all(self, event_classes: Iterable[type]) -> None:
        """Register several event classes. Those without a problem are registered even if others have one.

        Raises:
            SchemaError: A class has no schema, or its name is used. If there are several, it is one `SchemaErrors` for all.
        """
        errors = []
        for event_class in event_classes:
            try:
                self.register(event_class)
            except SchemaError as error:
                errors.append(error)
        if errors:
            raise errors[0] if len(errors) == 1 else SchemaErrors(errors)

    def register_untyped(self, event_class: type, *, namespace: str | None = None) -> EventSchema:
        """Add a schema for a class that `register` rejects. Its events are exported by their ``properties()``."""
        schema = compile_untyped(event_class, namespace=namespace or self.namespace, policy=self.policy)
        return self._add(EventReader(schema))

    def reader(self, event_class: type) -> EventReader:
        """Return the reader of a class: its own, or one with the schema of its nearest registered ancestor.

        Raises:
            UnregisteredEvent: Neither the class nor an ancestor of it is registered.
        """
        try:
            reader = self._readers.get(event_class) or self._inherited.get(event_class)
        except program_errors():
            # Code of a metaclass may hash the class, and fail.
            reader = None
        return reader if reader is not None else self._inherit(event_class)

    def versions(self, event_name: str) -> dict[str | None, EventReader]:
        """Return the readers of an event's registered versions, by version."""
        return {version: reader for (name, version), reader in self._by_event_name.items() if name == event_name}

    def coverage(self) -> dict[str, Coverage]:
        """Return the coverage of each registered event in this process, by label, such as ``app.order@2``."""
        return {reader.schema.label: reader.coverage.snapshot() for reader in self._readers.values()}

    def _check_shared_names(self, schema: EventSchema) -> None:
        """Raise an error if events of another class have the same name and version, and one of their attributes has another type.

        During a rename, two classes share a name: the old one, whose events are emitted under both names, and the new one.
        """
        pairs = [(schema, other) for other in self._renamed]
        if schema.renamed is not None:
            others = [reader.schema for reader in self.versions(schema.renamed.event_name).values()]
            pairs += [(schema.renamed, other) for other in (*others, *self._renamed)]
        reasons = [reason for own, other in pairs if own.label == other.label for reason in _other_types(own, other)]
        if reasons:
            raise SchemaError(schema.event_class, *reasons)

    def _add(self, reader: EventReader) -> EventSchema:
        self._readers[reader.schema.event_class] = reader
        self._inherited = {}
        for call in (self._on_add, *on_register):
            if call is not None:
                call(reader)
        return reader.schema

    def __getitem__(self, event_class: type) -> EventSchema:
        return self.reader(event_class).schema

    def __iter__(self) -> Iterator[type]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)

    def _inherit(self, event_class: type) -> EventReader:
        # By identity in both places: code of a metaclass may hash a class, and fail.
        for own, reader in self._own.items():
            if own is event_class:
                return reader
        # The readers are taken before the classes are read: see the module's documentation.
        readers = self._inherited
        known = {id(registered): reader for registered, reader in list(self._readers.items())}
        for ancestor in ancestors(event_class)[1:]:
            inherited = known.get(id(ancestor))
            if inherited is not None:
                return self._add_inherited(event_class, inherited, readers)
        raise UnregisteredEvent(event_class)

    def _add_inherited(self, event_class: type, reader: EventReader, readers: dict[type, EventReader]) -> EventReader:
        """Add the reader of an unregistered subclass to those of others, and return it.

        Args:
            event_class: The subclass.
            reader: The reader of its nearest registered ancestor.
            readers: The readers of unregistered subclasses.
        """
        try:
            inherited = EventReader(inherit_schema(event_class, reader.schema), specialize_schema)
            too_many = max(0, len(readers) - MAX_INHERITED + 1)
            # A copy, because another thread may add to it meanwhile.
            for oldest in list(readers)[:too_many]:
                readers.pop(oldest, None)
            return readers.setdefault(event_class, inherited)
        # Code of a metaclass failed. All fields are masked, because the class may declare more privacy than its ancestor.
        except program_errors() as error:
            report(ProgramCode.EVENT_CLASS, error)
            name = qualified_name(event_class)
            self._failures.log(name, "The class %s cannot be read, so its events are masked.", name, error=error)
            return EventReader(masked_schema(reader.schema))


@functools.cache
def _schema_of_own(event_class: type) -> EventSchema:
    """Return the schema of one of heliograph's own events, for every host with its own policy: to compile it takes longest of its start."""
    return compile_schema(event_class, namespace=SCOPE)


def _other_types(schema: EventSchema, other: EventSchema) -> Iterator[str]:
    """Yield a sentence for each attribute that has different types in two schemas of one event."""
    types = {each.name: each.wire_type for each in other.wire_attributes()}
    for each in schema.wire_attributes():
        known = types.get(each.name, each.wire_type)
        if known != each.wire_type and "any" not in {known, each.wire_type}:
            yield (
                f"its attribute {each.name!r} is of type {each.wire_type}, and of type {known} in events of "
                f"{qualified_name(other.event_class)}, which have the name {other.event_name!r}, too; give the field the same type, "
                "or one of the classes another version"
            )


def _warn_of_actor_attributes(schema: EventSchema) -> None:
    """Log a warning that names each field that is declared under an attribute of the actor."""
    fields = [f"{each.name} ({each.actor_attribute})" for each in schema.fields_named_like_the_actor()]
    if fields:
        logger.warning(
            "%s declares fields under attributes that always mean the actor: %s. They are exported below %s instead; remove "
            "these names from the annotations, or choose others.",
            qualified_name(schema.event_class),
            ", ".join(fields),
            schema.event_name,
        )
