"""The events in the life of a token: `heliograph.token_created`, `token_first_used`, `token_rejected`, `token_revoked`, `token_rotated`.

Like a program's events, they have schemas, which can be exported and locked. No event has any part of a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, TypeAlias

from heliograph.events import Attribute, Event, Privacy, Severity
from heliograph.semconv import TOKEN_HANDLER, TOKEN_ID, TOKEN_TARGET_ID
from heliograph.telemetry.actor_attributes import TOKEN_ID_KEY

# Plain is declared, so that the setting `privacy_default` does not remove what these events are for.
TargetId: TypeAlias = Annotated[
    "str | None", Attribute(TOKEN_TARGET_ID, brief=TOKEN_TARGET_ID.brief, privacy=Privacy.PLAIN)
]
CredentialId: TypeAlias = Annotated["str | None", Attribute(TOKEN_ID, brief=TOKEN_ID.brief, privacy=Privacy.PLAIN)]
HandlerName: TypeAlias = Annotated[
    "str | None", Attribute(TOKEN_HANDLER, brief="The `name` of the token handler.", privacy=Privacy.PLAIN)
]


@dataclass
class TokenEvent(Event, namespace="heliograph"):
    """Something happened to a token.

    Attributes:
        token_id: The id of the token; `None` if it has none, or if it is not known for sure.
        handler: The name of the token's handler.
        credential_id: The id of the token that the actor was authenticated by, or else `token_id`.
    """

    token_id: TargetId
    handler: HandlerName
    credential_id: CredentialId = field(init=False)

    def __post_init__(self) -> None:
        self.credential_id = credential_of(self.actor) or self.token_id


@dataclass
class TokenCreated(TokenEvent):
    """A token was created."""

    name = "token-created"


@dataclass
class TokenFirstUsed(TokenEvent):
    """A secret of a token was used for the first time, by its actor."""

    name = "token-first-used"


@dataclass
class TokenRejected(TokenEvent, severity=Severity.WARN):
    """A handler rejected a token. The token has an id here only if the handler knows it.

    Attributes:
        reason: The result of the verification.
        unreported: The rejections for this reason since the last event, for which no event was made.
    """

    name = "token-rejected"
    reason: Annotated[
        str, Attribute(brief="`expired`, `revoked` or `invalid`.", examples=("expired",), privacy=Privacy.PLAIN)
    ]
    unreported: Annotated[
        int,
        Attribute(
            brief="The number of rejections for this reason since the last event, for which no event was made, because there were too "
            "many.",
            examples=(0,),
            privacy=Privacy.PLAIN,
        ),
    ] = 0


@dataclass
class TokenRevoked(TokenEvent):
    """A token was revoked."""

    name = "token-revoked"


@dataclass
class TokenRotated(TokenEvent):
    """A token got a new secret.

    Attributes:
        grace: The seconds from the first use of the new secret to the end of the old one.
    """

    name = "token-rotated"
    grace: Annotated[
        int,
        Attribute(
            brief="The time from the first use of the new secret to the end of the old one.",
            examples=(3600,),
            privacy=Privacy.PLAIN,
            unit="s",
        ),
    ]


TOKEN_EVENTS: Final = (TokenCreated, TokenFirstUsed, TokenRejected, TokenRevoked, TokenRotated)
"""The event classes that each host registers."""


def credential_of(actor: object) -> str | None:
    """Return the id of the token that an actor was authenticated by, or `None`."""
    found = actor.get(TOKEN_ID_KEY) if isinstance(actor, Mapping) else None
    return found if type(found) is str else None
