"""Verify the bearer token of a request, and decide which HTTP error of RFC 6750 a request without a valid one gets.

This module is the same for all frameworks: it reads the value of the header ``Authorization``, and raises `Refused` with the status, the
challenge (``WWW-Authenticate``) and a text for the client. The integration of a framework converts that to a response.

If a token cannot be verified, because a handler or its database failed, the status is 503. With 401, the client would discard a token that may
be valid. The exception may quote the token, so only its class is logged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from heliograph.ambient_actor import Actor
from heliograph.classes import qualified_name
from heliograph.errors import PluginError, TokenInvalid
from heliograph.host import Host
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE
from heliograph.tokens.restrictions import allows_everywhere

failures: Final = LimitedLog(SafeLogger(SCOPE))
"""Logs failures that may occur for every request, at a limited rate."""


class Refused(Exception):
    """A request is refused, because of its token.

    Args:
        status: The HTTP status.
        detail: The reason, for the client.
        challenge: The value of the header ``WWW-Authenticate``; `None` if there is none.
    """

    def __init__(self, status: int, detail: str, challenge: str | None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.challenge = challenge

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the response."""
        return {} if self.challenge is None else {"WWW-Authenticate": self.challenge}


@dataclass(frozen=True, kw_only=True)
class RequestToken:
    """The token of a request, which was verified.

    Attributes:
        host: The host that verified it.
        is_sent: True if the request has a bearer token.
        actor: The actor; `None` if there is no token, or if no handler recognizes it.
    """

    host: Host
    is_sent: bool
    actor: Actor | None

    def require(self, *actions: str) -> Actor:
        """Return the actor.

        Args:
            actions: The actions that the token has to allow, without restriction to a database or a table.

        Raises:
            Refused: The request has no token (401), no handler recognizes it (401), or it does not allow all of the actions (403).
        """
        if not self.is_sent:
            raise Refused(401, "A token is required", "Bearer")
        if self.actor is None:
            raise Refused(401, "Unknown token", 'Bearer error="invalid_token"')
        restrictions = self.actor.get("_r")
        if not all(allows_everywhere(restrictions, action, self.host) for action in actions):
            raise Refused(403, "The token does not allow this action", 'Bearer error="insufficient_scope"')
        return self.actor


async def verify(host: Host, authorization: str | None) -> RequestToken:
    """Verify the token of a request. A token that no handler recognizes is accepted, without an actor.

    Args:
        host: The host.
        authorization: The value of the header ``Authorization``, or `None`.

    Raises:
        Refused: A handler rejects the token (401), or it cannot be verified (503).
        PluginError: A plugin registered something that is not a token handler.
    """
    token = _bearer_token(authorization)
    if token is None:
        return RequestToken(host=host, is_sent=False, actor=None)
    try:
        actor = await host.verify_token(token)
    except TokenInvalid as rejection:
        raise Refused(401, str(rejection), 'Bearer error="invalid_token"') from None
    except PluginError:
        raise
    except Exception as error:
        # The handler of a plugin, and its database, may raise anything.
        kind = qualified_name(error)
        failures.log(kind, "The token of a request could not be verified, so the response is 503: %s", kind)
        raise Refused(503, "Tokens cannot be verified at the moment", None) from None
    return RequestToken(host=host, is_sent=True, actor=actor)


def _bearer_token(authorization: str | None) -> str | None:
    """Return the token in the header. Schemes are compared without case (RFC 9110, section 11.1)."""
    scheme, _, token = (authorization or "").strip().partition(" ")
    return (token.strip() or None) if scheme.lower() == "bearer" else None
