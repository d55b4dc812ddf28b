"""What happened, who did it, and when: `Event`, and the ambient actor."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timezone
from typing import ClassVar, TypeAlias

from heliograph.declaration import Deprecated, EventOptions, Severity, Stability, Upcaster

Actor: TypeAlias = Mapping[str, object]
"""Who did it: a mapping with, usually, an ``id``."""

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
