"""A token as the database has it, and the rules that decide if it is valid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from heliograph.ambient_actor import Actor
from heliograph.errors import TokenExpired, TokenRevoked
from heliograph.values.text import utc

STATES: Final = ("active", "expired", "revoked")
"""The states that `Token.state` returns."""
REPLACED_AT_ONCE: Final = 0.0
"""The end of a secret that was replaced without grace. It is not the time of the replacement: the secret, which may have leaked, would
be valid again if somebody set the clock back."""

_TIMES: Final = ("created", "last_used", "expires", "revoked")


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token in a database, without its secret. All times are seconds since the Unix epoch.

    Attributes:
        id: The id, which is not secret: 12 letters and digits.
        actor_id: The id of the actor that the token authenticates.
        label: A text for people.
        restrictions: The actions that the token allows, in Datasette's compact form; `None` allows everything that the actor
            may do.
        created: When it was created.
        last_used: When it was last used, to the minute; `None` if it never was.
        expires: When it ends; `None` if it does not end by itself.
        unused_after: The seconds without use after which it ends; `None` if there is no such limit.
        revoked: When it was revoked; `None` if it was not.
        revoked_by: The id of the actor who revoked it, if known.
    """

    id: str
    actor_id: str
    label: str | None = None
    restrictions: Mapping[str, object] | None = None
    created: float
    last_used: float | None = None
    expires: float | None = None
    unused_after: int | None = None
    revoked: float | None = None
    revoked_by: str | None = None

    def state(self, now: float, *, longest_lifetime: float | None = None) -> str:
        """Return ``"active"``, ``"revoked"`` or ``"expired"``.

        Args:
            now: The time now.
            longest_lifetime: The longest lifetime that the host allows, in seconds; `None` is no limit.
        """
        try:
            self.check(now, longest_lifetime=longest_lifetime)
        except TokenRevoked:
            return "revoked"
        except TokenExpired:
            return "expired"
        return "active"

    def check(
        self, now: float, *, last_seen: float | None = None, longest_lifetime: float | None = None
    ) -> float | None:
        """Return when the token ends; `None` if it does not end by itself.

        Args:
            now: The time now.
            last_seen: A use of the token that is not written to the database yet.
            longest_lifetime: The longest lifetime that the host allows, in seconds; `None` is no limit.

        Raises:
            TokenRevoked: It was revoked.
            TokenExpired: Its lifetime is over, or it was not used for too long.
        """
        if self.revoked is not None:
            raise TokenRevoked(token_id=self.id)
        limits = [] if self.expires is None else [self.expires]
        if longest_lifetime:
            limits.append(self.created + longest_lifetime)
        end = min(limits, default=None)
        if end is not None and now > end:
            raise TokenExpired(int(end), token_id=self.id)
        if self.unused_after is not None:
            idle_end = max(self.last_used or self.created, last_seen or 0) + self.unused_after
            if now > idle_end:
                raise TokenExpired(int(idle_end), token_id=self.id)
        return end

    def actor(self, ends: float | None) -> Actor:
        """Return the actor that the token authenticates. Keys without a value are omitted: Datasette fails on ``_r: None``."""
        actor: dict[str, object] = {"id": self.actor_id, "token": "hgtok", "token_id": self.id}
        if self.restrictions is not None:
            actor["_r"] = self.restrictions
        if ends is not None:
            actor["token_expires"] = int(ends)
        return actor


@dataclass(frozen=True, kw_only=True)
class Secret:
    """One secret of a token; there are two while an old one is replaced.

    Attributes:
        token: The token that it belongs to.
        created: When it was created.
        first_used: When it was first used; `None` if it never was.
        ends: When it is replaced; `None` if it is the newest one, and `REPLACED_AT_ONCE` if it ended when that one was created.
        grace: The seconds from its first use to the end of the secret that it replaces; `None` if it is the first one.
    """

    token: Token
    created: float
    first_used: float | None = None
    ends: float | None = None
    grace: float | None = None

    def check(
        self, now: float, *, last_seen: float | None = None, longest_lifetime: float | None = None
    ) -> float | None:
        """Return when the secret, or its token, ends; see `Token.check`.

        Raises:
            TokenRevoked: The token was revoked, or a new secret has replaced this one.
            TokenExpired: The token has expired.
        """
        end = self.token.check(now, last_seen=last_seen, longest_lifetime=longest_lifetime)
        if self.ends is None:
            return end
        if now >= self.ends:
            raise TokenRevoked("Token has been replaced", token_id=self.token.id)
        return self.ends if end is None else min(end, self.ends)


def parse_restrictions(text: str | None) -> Mapping[str, object] | None:
    """Return restrictions from the form in which the database has them."""
    return None if text is None else json.loads(text)


def stored_facts(token: Token) -> dict[str, object]:
    """Return everything that is stored about a token, by field. Times are texts, in UTC."""
    return {
        name: utc(value) if name in _TIMES and value is not None else value for name, value in asdict(token).items()
    }
