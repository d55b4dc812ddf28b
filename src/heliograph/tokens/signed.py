"""Tokens that need no storage: signed by the host, interchangeable with Datasette's."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

import itsdangerous

from heliograph.errors import TokenExpired, TokenMalformed, TokensDisabled, TokenSignatureInvalid
from heliograph.events import Actor
from heliograph.tokens.handler import TokenHandler, TokenHost
from heliograph.tokens.restrictions import TokenRestrictions

PREFIX: Final = "dstok_"
NAMESPACE: Final = "token"


class SignedTokenHandler(TokenHandler):
    """Creates and verifies signed tokens: ``dstok_`` and a payload with the signature of itsdangerous.

    A host and a Datasette with the same secret accept each other's tokens, restrictions and expiry included. The
    payload can be read by whoever has the token; it holds the actor's id ``a``, the time ``t``, the life ``d`` in
    seconds, and the restrictions ``_r``.

    Args:
        clock: Gives the time in seconds since the Unix epoch.
    """

    name = "signed"

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock

    async def create_token(
        self,
        datasette: TokenHost,
        actor_id: str,
        *,
        expires_after: int | None = None,
        restrictions: TokenRestrictions | None = None,
    ) -> str:
        """A new signed token.

        Raises:
            TokensDisabled: The host's setting ``allow_signed_tokens`` is off.
            ValueError: `expires_after` is no whole number of seconds above 0 (a token that never ends is `None`).
        """
        if not datasette.setting("allow_signed_tokens"):
            raise TokensDisabled
        if expires_after is not None and (not _is_integer(expires_after) or expires_after <= 0):
            raise ValueError(f"expires_after has to be a whole number of seconds above 0, or None: {expires_after!r}")
        payload: dict[str, object] = {"a": actor_id, "t": int(self._clock())}
        if expires_after is not None:
            payload["d"] = expires_after
        abbreviated = None if restrictions is None else restrictions.abbreviated(datasette)
        if abbreviated is not None:
            payload["_r"] = abbreviated
        return PREFIX + datasette.sign(payload, namespace=NAMESPACE)

    async def verify_token(self, datasette: TokenHost, token: str) -> Actor | None:
        """The actor: its ``id``, ``token``, and, where there are, ``_r`` and ``token_expires``.

        Raises:
            TokensDisabled: The host's setting ``allow_signed_tokens`` is off.
            TokenSignatureInvalid: It was forged, or signed with a secret that is gone.
            TokenMalformed: Its payload is not what this handler writes.
            TokenExpired: It is past its own life, or past the host's ``max_signed_tokens_ttl``.
        """
        if not token.startswith(PREFIX):
            return None
        if not datasette.setting("allow_signed_tokens"):
            raise TokensDisabled
        payload = _payload(datasette, token)
        created, life = _created(payload), _life(payload.get("d"), datasette.setting("max_signed_tokens_ttl"))
        actor = {"id": payload["a"], "token": "dstok"}
        if "_r" in payload:
            actor["_r"] = payload["_r"]
        if life is not None:
            if self._clock() > created + life:  # no difference: a clock's float cannot take an integer of any size
                raise TokenExpired(created + life)
            actor["token_expires"] = created + life
        return actor


def _payload(datasette: TokenHost, token: str) -> Mapping[str, object]:
    try:
        payload = datasette.unsign(token[len(PREFIX) :], namespace=NAMESPACE)
    except (itsdangerous.BadData, UnicodeError):  # the second is for text that has no bytes
        raise TokenSignatureInvalid from None  # the cause would carry the token's payload
    if not isinstance(payload, Mapping):
        raise TokenMalformed
    if "a" not in payload:
        raise TokenMalformed("Invalid token: no actor")
    if payload.get("d") is not None and not _is_integer(payload["d"]):
        raise TokenMalformed("Invalid token: invalid duration")
    return payload


def _created(payload: Mapping[str, object]) -> int:
    created = payload.get("t")
    if created is None:
        raise TokenMalformed("Invalid token: no timestamp")
    if not isinstance(created, int) or isinstance(created, bool):
        raise TokenMalformed("Invalid token: invalid timestamp")
    return created


def _life(said: object, longest: object) -> int | None:
    lives = [life for life in (said, longest) if isinstance(life, int) and life]
    return min(lives, default=None)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
