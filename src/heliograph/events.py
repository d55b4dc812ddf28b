"""Everything that the author of an event class writes: `Event`, what it declares, and the ambient actor."""

from __future__ import annotations

import copy
import dataclasses
import enum
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

Actor: TypeAlias = Mapping[str, object]
"""Who did it: a mapping with, usually, an ``id``."""

Stability: TypeAlias = Literal["development", "alpha", "beta", "release_candidate", "stable"]
"""How firm a contract is. Source: OpenTelemetry semantic conventions, stability levels."""

Properties: TypeAlias = dict[str, Any]
"""The properties of an event in the forms that they have in JSON."""

Upcaster: TypeAlias = Callable[[Properties], Properties]
"""From the properties of an older version of an event to those of the class's own."""


class Severity(enum.IntEnum):
    """How much an event matters: the ranges of OpenTelemetry's severity numbers.

    Source: OpenTelemetry specification, logs data model, field SeverityNumber.
    """

    TRACE = 1
    DEBUG = 5
    INFO = 9
    WARN = 13
    ERROR = 17
    FATAL = 21


def severity_text(severity: int) -> str:
    """A severity as text for people, by OpenTelemetry's short names: ``WARN (13)``, ``WARN2 (14)``."""
    step = (severity - 1) % 4 + 1  # each of the six ranges has four numbers
    name = Severity(severity - step + 1).name
    return f"{name}{'' if step == 1 else step} ({int(severity)})"


class Privacy(str, enum.Enum):
    """What may leave the process of a value: on every way out, checked or not."""

    PLAIN = "plain"
    """The value."""
    MASK = "mask"
    """That there is one."""
    HASH = "hash"
    """Its HMAC-SHA-256 with the setting ``privacy_key``: the same value gives the same hash."""
    DROP = "drop"
    """Nothing."""


@dataclass(frozen=True, kw_only=True)
class Deprecated:
    """That an event or an attribute is on its way out.

    Attributes:
        renamed_to: The name on the wire that takes its place; `None` where nothing does.
        note: Why, or what to do.
        emit_both: Whether it is emitted under both names, until everybody has moved.
    """

    renamed_to: str | None = None
    note: str | None = None
    emit_both: bool = False


@dataclass(frozen=True)
class Attribute:
    """What a field says of the attribute that it becomes: ``Annotated[int, Attribute("shop.order.total", unit="EUR")]``.

    Attributes:
        name: The attribute's name; `None` is ``<event name>.<field>``. Below a namespace of OpenTelemetry's semantic
            conventions it has to be a name that they know, with the type that they give it.
        brief: One sentence for the catalogue.
        note: More than that.
        examples: Values that it may have.
        privacy: What may leave of it, and of what is inside of it; `None` is the setting's ``privacy_default``.
        requirement: ``"required"``, ``"recommended"``, ``"opt_in"`` (left out, unless the setting ``opt_in`` names it) or
            ``"conditionally_required: <when>"``; `None` is what the field's type and default say.
        unit: The unit, in UCUM.
        deprecated: That the name is on its way out.
    """

    name: str | None = None
    brief: str | None = field(default=None, kw_only=True)
    note: str | None = field(default=None, kw_only=True)
    examples: tuple[object, ...] | list[object] = field(default=(), kw_only=True)
    privacy: Privacy | None = field(default=None, kw_only=True)
    requirement: str | None = field(default=None, kw_only=True)
    unit: str | None = field(default=None, kw_only=True)
    deprecated: Deprecated | None = field(default=None, kw_only=True)


@dataclass(frozen=True, kw_only=True)
class EventOptions:
    """What telemetry wants to know about an event class: the keywords of its class statement.

    Attributes:
        namespace: First part of the event name; `None` takes the one of the settings.
        version: The version of the contract, for a class that has one.
        severity: The severity number of its log records.
        message: A template for the body, such as ``"{actor[id]} banned {user[username]}"``; `None` shows the name.
        stability: How firm the contract is.
        deprecated: That the event is on its way out.
        upcasters: By older version: what makes properties of this version from those of that one.
    """

    namespace: str | None = None
    version: str | None = None
    severity: Severity = Severity.INFO
    message: str | None = None
    stability: Stability = "development"
    deprecated: Deprecated | None = None
    upcasters: Mapping[str, Upcaster] = field(default_factory=dict)


class EventLike(Protocol):
    """The shape of an event: what Datasette's `Event` and ours have in common."""

    @property
    def name(self) -> str:
        """The event's name, as written."""

    @property
    def actor(self) -> Actor | None:
        """Who did it."""

    @property
    def created(self) -> datetime:
        """When it happened."""

    def properties(self) -> Mapping[str, object]:
        """The rest."""


Resolver: TypeAlias = Callable[[], "Actor | None"]


@dataclasses.dataclass
class Event:
    """The base of typed events: subclass it as a dataclass, and give the subclass a ``name``.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class BanUserEvent(Event, severity=Severity.WARN, message="{actor[id]} banned {user[username]}"):
    ...     name = "ban-user"
    ...     user: dict
    >>> with acting_as({"id": "root"}):
    ...     event = BanUserEvent(user={"id": 1, "username": "cleverbot"})
    >>> event.actor, event.properties()
    ({'id': 'root'}, {'user': {'id': 1, 'username': 'cleverbot'}})

    Attributes:
        name: The event's name, as written: a class attribute such as ``"ban-user"``.
        actor: Who did it; left out, it is the ambient actor at the moment the event is made, or `None`.
        created: When it happened, an aware `datetime` in UTC; left out, it is now.
    """

    name: ClassVar[str]
    __event_options__: ClassVar[EventOptions] = EventOptions()

    actor: Actor | None = dataclasses.field(default_factory=lambda: current_actor(), kw_only=True)  # noqa: PLW0108 — defined below
    created: datetime = dataclasses.field(default_factory=lambda: datetime.now(timezone.utc), kw_only=True)

    def __init_subclass__(
        cls,
        *,
        namespace: str | None = None,
        version: str | None = None,
        severity: Severity | None = None,
        message: str | None = None,
        stability: Stability | None = None,
        deprecated: Deprecated | None = None,
        **kwargs: object,
    ) -> None:
        super().__init_subclass__(**kwargs)
        if "__event_options__" in vars(cls):  # `dataclass(slots=True)` makes the class again, without its keywords
            return
        inherited = cls.__event_options__
        cls.__event_options__ = EventOptions(
            namespace=inherited.namespace if namespace is None else namespace,
            version=version,
            severity=inherited.severity if severity is None else severity,
            message=inherited.message if message is None else message,
            stability=inherited.stability if stability is None else stability,
            deprecated=deprecated,
        )

    @classmethod
    def upcast(cls, *, from_version: str) -> Callable[[Upcaster], Upcaster]:
        """Take the decorated function for what makes this class's properties from those of an older version.

        It is asked when events of that version that were set aside are replayed.

        >>> @dataclasses.dataclass
        ... class OrderEvent(Event, version="2"):
        ...     name = "order"
        ...     total_cents: int
        >>> @OrderEvent.upcast(from_version="1")
        ... def from_euros(properties):
        ...     return {"total_cents": round(properties["total"] * 100)}

        Args:
            from_version: The version that it takes: the ``version`` of the class that made the event.
        """

        def keep(upcaster: Upcaster) -> Upcaster:
            options = cls.__event_options__
            cls.__event_options__ = dataclasses.replace(
                options, upcasters={**options.upcasters, from_version: upcaster}
            )
            return upcaster

        return keep

    def properties(self) -> dict[str, object]:
        """The event's fields other than ``actor`` and ``created``, as a new dict, nested dataclasses included."""
        bare = copy.copy(self)
        bare.actor = None  # any mapping may be the actor, and not every mapping can be copied deeply
        properties = dataclasses.asdict(bare)
        del properties["actor"], properties["created"]
        return properties


def nobody() -> None:
    """The resolver of the ambient actor where none was set."""


_ambient: ContextVar[Resolver] = ContextVar("heliograph_actor", default=nobody)


def current_actor() -> Actor | None:
    """The ambient actor: that of the innermost `acting_as`, or `None`."""
    return _ambient.get()()


@contextmanager
def acting_as(actor: Actor | Resolver | None) -> Iterator[None]:
    """Make ``actor`` the one that events made in this context are ascribed to.

    It holds for the block, for the tasks and the threads that copy its context, and for nothing else.

    Args:
        actor: A mapping; `None` for nobody; or a function without arguments that gives one of the two, asked each
            time an event is made (a middleware runs before authentication does, and so cannot know yet).

    Raises:
        TypeError: `actor` is something else.
    """
    if not (actor is None or callable(actor) or isinstance(actor, Mapping)):
        raise TypeError(f"acting_as() takes an actor's mapping, such as {{'id': 'root'}}, not {type(actor).__name__}")
    known = actor
    token = _ambient.set(known if callable(known) else lambda: known)
    try:
        yield
    finally:
        _ambient.reset(token)
