"""The attributes that heliograph adds to the log record of an event, beside the attributes that its class declares.

An independent check of a stream (``weaver registry live-check``) rejects an attribute that its registry does not have. So each
event of an exported registry refers to these attributes, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from heliograph import semconv


@dataclass(frozen=True, kw_only=True)
class AddedAttribute:
    """An attribute that heliograph adds to events.

    Attributes:
        name: Its name on the wire, or the prefix of its keys if it is a template.
        when: The condition under which an event has it; empty if every event has it.
        type: Its type if heliograph defines it, in Weaver's notation; `None` if OpenTelemetry's semantic conventions do.
        example: An example of its value, if its type is text.
    """

    name: semconv.AttributeName
    when: str = ""
    type: str | None = None
    example: object = None


_ADDED: Final = (
    AddedAttribute(name=semconv.LOG_RECORD_UID),
    AddedAttribute(name=semconv.USER_ID, when="when there is an actor with an `id`"),
    AddedAttribute(name=semconv.USER_NAME, when="when there is an actor with a `name`"),
    AddedAttribute(name=semconv.USER_FULL_NAME, when="when there is an actor with a `full_name`"),
    AddedAttribute(name=semconv.USER_ROLES, when="when there is an actor with `roles`"),
    AddedAttribute(name=semconv.USER_EMAIL, when="when `HELIOGRAPH_ACTOR` allows the `email` of the actor"),
    AddedAttribute(name=semconv.USER_HASH, when="when `HELIOGRAPH_ACTOR` asks for the hash of the `id` of the actor"),
    AddedAttribute(name=semconv.ACTOR, when="when the actor has other keys", type="template[any]"),
    *(
        AddedAttribute(name=name, when="when `HELIOGRAPH_CONTEXT` has its name, and the event is tracked in a request")
        for name in semconv.REQUEST_ATTRIBUTES
    ),
    AddedAttribute(
        name=semconv.TOKEN_ID,
        when="when the actor was authenticated by a token with an id",
        type="string",
        example="2c0caabb24ac",
    ),
    AddedAttribute(
        name=semconv.TOKEN_HANDLER,
        when="when the actor was authenticated by a token of a known handler",
        type="string",
        example="signed",
    ),
    AddedAttribute(name=semconv.EVENT_VERSION, when="when the class declares a version", type="string", example="1"),
    AddedAttribute(
        name=semconv.EVENT_CREATED,
        when="when OTLP cannot represent the time",
        type="string",
        example="0001-01-01T00:00:00Z",
    ),
    AddedAttribute(
        name=semconv.EVENT_VIOLATIONS,
        when="when the event violates its schema",
        type="string[]",
        example=["required-missing: total"],
    ),
    AddedAttribute(
        name=semconv.EVENT_OVERFLOW,
        when="when the event has too many attributes",
        type="string",
        example='{"app.order.key":1}',
    ),
)

ADDED: Final[Mapping[str, AddedAttribute]] = {str(each.name): each for each in _ADDED}
"""The attributes that heliograph adds, by name."""


def is_added(name: str, requirement_level: object) -> bool:
    """Return True if a reference of an exported event is to an attribute that heliograph adds, and no field of its class has it.

    A field may have an attribute of a request as its own. Its requirement level is another one then.
    """
    added = ADDED.get(name)
    if added is None or name not in semconv.REQUEST_ATTRIBUTES:
        return added is not None
    return requirement_level == {"conditionally_required": added.when}
