"""Define event classes: the base class `Event`, and its declarations.

This module depends on little else in the package, because every other part imports it.
"""

from __future__ import annotations

import copy
import dataclasses
import enum
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, ClassVar, Final, Literal, Protocol, TypeAlias

from heliograph.ambient_actor import Actor, current_actor

Stability: TypeAlias = Literal["development", "alpha", "beta", "release_candidate", "stable"]
"""The stability level of a contract. Source: OpenTelemetry semantic conventions, stability levels."""

Properties: TypeAlias = dict[str, Any]
"""The properties of an event, in their JSON-like forms."""

Upcaster: TypeAlias = Callable[[Properties], Properties]
"""A function that turns the properties of an older version of an event into properties of the current version."""


class Severity(enum.IntEnum):
    """The severity of an event: the first number of each of OpenTelemetry's six ranges.

    Source: OpenTelemetry specification, logs data model, field SeverityNumber.
    """

    TRACE = 1
    """A fine-grained event for debugging, usually not exported."""
    DEBUG = 5
    """An event for debugging."""
    INFO = 9
    """Something happened, as it should."""
    WARN = 13
    """Something happened that is not an error, but may need attention."""
    ERROR = 17
    """Something went wrong."""
    FATAL = 21
    """Something happened that the program cannot go on after."""


MAX_SEVERITY: Final = 24
"""The highest severity number of OpenTelemetry's logs data model, FATAL4."""


def severity_text(severity: int) -> str:
    """Return a severity number as text for people: ``WARN (13)``, ``WARN2 (14)``.

    The names are the short names of OpenTelemetry's logs data model.
    """
    # Each of the six ranges has four numbers.
    step = (severity - 1) % 4 + 1
    name = Severity(severity - step + 1).name
    return f"{name}{'' if step == 1 else step} ({int(severity)})"


class Privacy(str, enum.Enum):
    """The part of a value that is exported. It applies to every path out of the process, to valid and to invalid events."""

    PLAIN = "plain"
    """The value itself is exported."""
    MASK = "mask"
    """Only the fact that there is a value is exported, as ``<masked>``."""
    HASH = "hash"
    """The HMAC-SHA-256 of the value is exported, with the setting ``privacy_key``. Equal values have equal hashes."""
    DROP = "drop"
    """Nothing is exported."""


_WORDS: Final = frozenset(each.value for each in Privacy)


@dataclass(frozen=True, kw_only=True)
class Deprecated:
    """The deprecation of an event or of an attribute.

    Attributes:
        renamed_to: The name on the wire that replaces it, or `None` if nothing does.
        note: The reason, or advice for users of it.
        emit_both: True to emit it under both names, until all users of the old name have changed to the new one.
    """

    renamed_to: str | None = None
    note: str | None = None
    emit_both: bool = False


@dataclass(frozen=True)
class Attribute:
    """The declaration of a field: ``Annotated[int, Attribute("shop.order.total", unit="EUR")]``.

    Attributes:
        name: The name of the attribute on the wire. `None` means ``<event name>.<field>``. A name in a namespace of
            OpenTelemetry's semantic conventions must be one of theirs, and the field must have the type that they define.
        brief: One sentence for the catalogue.
        note: Further explanation.
        examples: Examples of its value.
        privacy: The part of its value that is exported, including values inside of it. `None` means the setting
            ``privacy_default``.
        requirement: ``"required"``, ``"recommended"``, ``"opt_in"`` (not exported unless the setting ``opt_in`` names it) or
            ``"conditionally_required: <when>"``. `None` means that it follows from the field's type and default.
        unit: The unit, in UCUM.
        deprecated: Set if the attribute is deprecated.
    """

    name: str | None = None
    brief: str | None = field(default=None, kw_only=True)
    note: str | None = field(default=None, kw_only=True)
    examples: tuple[object, ...] | list[object] = field(default=(), kw_only=True)
    privacy: Privacy | None = field(default=None, kw_only=True)
    requirement: str | None = field(default=None, kw_only=True)
    unit: str | None = field(default=None, kw_only=True)
    deprecated: Deprecated | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        # The word "mask" is accepted, because it is equal to `Privacy.MASK`, and Python keeps one object for equal annotations: a correct
        # declaration may be the object of an equal one that somebody else wrote with the word.
        if isinstance(self.privacy, str) and self.privacy in _WORDS:
            object.__setattr__(self, "privacy", Privacy(self.privacy))


@dataclass(frozen=True, kw_only=True)
class EventOptions:
    """The options of an event class: the keywords of its class statement.

    Attributes:
        namespace: The first part of the event name. `None` means the setting ``namespace``.
        version: The version of the contract, or `None`.
        severity: The severity number of its log records: one of `Severity`, or another number up to `MAX_SEVERITY`, such as
            14 (WARN2).
        message: A template for the body, such as ``"{actor[id]} banned {user[username]}"``. `None`: the body is the name.
        stability: The stability level of the contract.
        deprecated: Set if the event is deprecated.
        upcasters: By older version: the function that turns properties of that version into properties of this one.
    """

    namespace: str | None = None
    version: str | None = None
    severity: int = Severity.INFO
    message: str | None = None
    stability: Stability = "development"
    deprecated: Deprecated | None = None
    upcasters: Mapping[str, Upcaster] = field(default_factory=dict)


class EventLike(Protocol):
    """The interface of an event, which Datasette's `Event` and ours share."""

    @property
    def name(self) -> str:
        """The event's name as its class declares it, such as ``ban-user``."""

    @property
    def actor(self) -> Actor | None:
        """The user or program that caused it, or `None`."""

    @property
    def created(self) -> datetime:
        """The time at which it happened."""

    def properties(self) -> Mapping[str, object]:
        """Return everything else that the event holds."""


@dataclasses.dataclass
class Event:
    """The base class of typed events. Subclass it as a dataclass, and give the subclass a ``name``.

    The class statement takes these options, all of them optional:

    - ``namespace``: the first part of the event's name on the wire, by default the setting ``namespace``
    - ``version``: the version of the event's contract, a text such as ``"1"``
    - ``severity``: the severity of its log records, a `Severity` or a number from 1 to 24, by default ``INFO``
    - ``message``: a template for the body, such as ``"{actor[id]} ordered for {total}"``; by default the body is the name
    - ``stability``: ``"development"`` (the default), ``"alpha"``, ``"beta"``, ``"release_candidate"`` or ``"stable"``
    - ``deprecated``: a `Deprecated`

    >>> from dataclasses import dataclass
    >>> from heliograph import acting_as
    >>> @dataclass
    ... class BanUserEvent(Event, severity=Severity.WARN, message="{actor[id]} banned {user[username]}"):
    ...     name = "ban-user"
    ...     user: dict
    >>> with acting_as({"id": "root"}):
    ...     event = BanUserEvent(user={"id": 1, "username": "cleverbot"})
    >>> event.actor, event.properties()
    ({'id': 'root'}, {'user': {'id': 1, 'username': 'cleverbot'}})

    Attributes:
        name: The event's name: a class attribute such as ``"ban-user"``. On the wire it is ``app.ban_user``.
        actor: The user or program that caused it. The default is the ambient actor at the moment the event is created.
        created: The time at which it happened, as an aware `datetime`. The default is now, in UTC.
    """

    name: ClassVar[str]
    __event_options__: ClassVar[EventOptions] = EventOptions()

    actor: Actor | None = dataclasses.field(default_factory=current_actor, kw_only=True)
    created: datetime = dataclasses.field(default_factory=lambda: datetime.now(timezone.utc), kw_only=True)

    def __init_subclass__(
        cls,
        *,
        namespace: str | None = None,
        version: str | None = None,
        severity: int | None = None,
        message: str | None = None,
        stability: Stability | None = None,
        deprecated: Deprecated | None = None,
        **kwargs: object,
    ) -> None:
        try:
            super().__init_subclass__(**kwargs)
        except TypeError as error:
            if not str(error).endswith("takes no keyword arguments"):  # raised by another base class
                raise
            raise TypeError(_unknown_option(cls.__name__, next(iter(kwargs)))) from None
        # `dataclass(slots=True)` creates the class again, without its keywords.
        if "__event_options__" in vars(cls):
            return
        inherited = cls.__event_options__
        cls.__event_options__ = EventOptions(
            namespace=inherited.namespace if namespace is None else namespace,
            # The version belongs to one contract, as `deprecated` does, and is not inherited.
            version=version,
            severity=inherited.severity if severity is None else severity,
            message=inherited.message if message is None else message,
            stability=inherited.stability if stability is None else stability,
            deprecated=deprecated,
        )

    @classmethod
    def upcast(cls, *, from_version: str) -> Callable[[Upcaster], Upcaster]:
        """Register the decorated function as the upcaster from an older version to this class's own.

        It is called when events of that version are replayed from the quarantine.

        >>> @dataclasses.dataclass
        ... class OrderEvent(Event, version="2"):
        ...     name = "order"
        ...     total_cents: int
        >>> @OrderEvent.upcast(from_version="1")
        ... def from_euros(properties):
        ...     return {"total_cents": round(properties["total"] * 100)}

        Args:
            from_version: The older version: the ``version`` of the class that created the event.
        """

        def register(upcaster: Upcaster) -> Upcaster:
            options = cls.__event_options__
            cls.__event_options__ = dataclasses.replace(
                options, upcasters={**options.upcasters, from_version: upcaster}
            )
            return upcaster

        return register

    def properties(self) -> dict[str, object]:
        """Return the fields other than ``actor`` and ``created`` as a new dict, with nested dataclasses as dicts."""
        bare = copy.copy(self)
        # `asdict` copies deeply, which not every mapping allows.
        bare.actor = None
        properties = dataclasses.asdict(bare)
        del properties["actor"], properties["created"]
        return properties


def _unknown_option(class_name: str, option: str) -> str:
    if option == "name":
        return f'{class_name}: the name is not an option of the class statement; write `name = "…"` in the body of the class'
    known = [field.name for field in dataclasses.fields(EventOptions) if field.name != "upcasters"]
    return f"{class_name}: there is no option {option!r} of an event class; the options are: {', '.join(known)}"


def _naming_a_missing_decorator(init: Callable[..., None]) -> Callable[..., None]:
    """Wrap the constructor of `Event`, which a class without fields of its own, or without ``@dataclass``, inherits."""

    @functools.wraps(init)
    def wrapper(self: Event, *args: Any, **kwargs: Any) -> None:
        try:
            init(self, *args, **kwargs)
        except TypeError:
            if "__dataclass_fields__" in vars(type(self)):
                raise
            raise TypeError(f"{type(self).__qualname__} is not a dataclass; put `@dataclass` above it") from None

    return wrapper


Event.__init__ = _naming_a_missing_decorator(Event.__init__)  # type: ignore[method-assign]
