"""The schemas that a host knows, by event class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from heliograph.errors import DuplicateEventName, UnregisteredEvent
from heliograph.schema.compile.event_class import compile_schema, compile_untyped, inherit_schema
from heliograph.schema.model.event import EventSchema
from heliograph.schema.read.coverage import Coverage
from heliograph.settings import Settings
from heliograph.values.privacy import PrivacyPolicy

on_register: Final[list[Callable[[EventSchema], None]]] = []
"""Functions that are called with each schema that any registry takes: for tools that watch a whole process."""


class Registry(Mapping[type, EventSchema]):
    """The schemas of the registered event classes: a mapping from class to `EventSchema`.

    Looking up an unregistered subclass gives the schema of its nearest registered ancestor, with the subclass's own
    further fields.

    Args:
        namespace: First part of the event name of classes that name none.
        policy: What may leave of the events' values; `None` is what the classes declare, without a key for hashes.

    Attributes:
        namespace: The namespace.
        policy: The policy.
    """

    def __init__(self, *, namespace: str, policy: PrivacyPolicy | None = None) -> None:
        self.namespace = namespace
        self.policy = policy or PrivacyPolicy()
        self._schemas: dict[type, EventSchema] = {}
        self._inherited: dict[type, EventSchema] = {}
        self._by_event_name: dict[tuple[str, str | None], EventSchema] = {}

    @classmethod
    def of(cls, settings: Settings) -> Registry:
        """An empty registry, by the settings."""
        policy = PrivacyPolicy(key=settings.privacy_key, undeclared=settings.privacy_default, opt_in=settings.opt_in)
        return cls(namespace=settings.namespace, policy=policy)

    def register(self, event_class: type) -> EventSchema:
        """Compile and keep the schema of ``event_class``; a class that is there already stays as it is.

        Several versions of one event can be registered side by side.

        Raises:
            SchemaError: No schema can be made of the class.
            DuplicateEventName: Another class has the event name, in the same version.
        """
        known = self._schemas.get(event_class)
        if known is not None:
            return known
        schema = compile_schema(event_class, namespace=self.namespace, policy=self.policy)
        first = self._by_event_name.setdefault((schema.event_name, schema.version), schema)
        if first is not schema:
            raise DuplicateEventName(event_class, first.event_class, schema.event_name)
        return self._keep(schema)

    def register_untyped(self, event_class: type) -> EventSchema:
        """Keep a schema for a class that `register` refuses, whose events go out by their ``properties()``."""
        return self._keep(compile_untyped(event_class, namespace=self.namespace, policy=self.policy))

    def versions(self, event_name: str) -> dict[str | None, EventSchema]:
        """The registered schemas of an event, by version."""
        return {version: schema for (name, version), schema in self._by_event_name.items() if name == event_name}

    def coverage(self) -> dict[str, Coverage]:
        """What was seen of each registered event so far, in this process, by event name (and version: ``app.order@2``)."""
        return {schema.label: schema.recorder.coverage() for schema in self._schemas.values()}

    def _keep(self, schema: EventSchema) -> EventSchema:
        self._schemas[schema.event_class] = schema
        self._inherited.clear()
        for call in on_register:
            call(schema)
        return schema

    def __getitem__(self, event_class: type) -> EventSchema:
        schema = self._schemas.get(event_class) or self._inherited.get(event_class)
        return schema if schema is not None else self._inherit(event_class)

    def __iter__(self) -> Iterator[type]:
        return iter(self._schemas)

    def __len__(self) -> int:
        return len(self._schemas)

    def _inherit(self, event_class: type) -> EventSchema:
        for ancestor in event_class.__mro__[1:]:
            schema = self._schemas.get(ancestor)
            if schema is not None:
                return self._inherited.setdefault(event_class, inherit_schema(event_class, schema))
        raise UnregisteredEvent(event_class)
