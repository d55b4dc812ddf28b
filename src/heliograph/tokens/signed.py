"""Create and verify signed tokens, which need no storage, and are interchangeable with Datasette's."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

import itsdangerous

from heliograph.ambient_actor import Actor
from heliograph.errors import TokenExpired, TokenMalformed, TokensDisabled, TokenSignatureInvalid
from heliograph.tokens.handler import TokenHandler, TokenHost
from heliograph.tokens.restrictions import TokenRestrictions, compact_form

PREFIX: Final = "dstok_"
NAMESPACE: Final = "token"
"""The namespace that tokens are signed in, so that a value signed for another purpose is not accepted as a token."""


class SignedActor(dict[str, object]):
    """The actor of a signed token, with the number of the key that signed it, for the span of the verification.

    Args:
        actor: The actor.
        key_number: The number of the key: 0 is the newest; `None` if the host does not number its keys.
    """

    def __init__(self, actor: Mapping[str, object], key_number: int | None) -> None:
        super().__init__(actor)
        self.key_number = key_number


class SignedTokenHandler(TokenHandler):
    """Creates and verifies signed tokens: the prefix ``dstok_`` and a payload signed by itsdangerous.

    A `Host` and a Datasette with the same secret accept each other's tokens, with their restrictions and lifetimes. Anyone
    who has a token can read its payload: the id of the actor (``a``), the time of creation in seconds since the Unix epoch
    (``t``), the lifetime in seconds (``d``), and the restrictions (``_r``).

    Args:
        clock: Returns the time now in seconds since the Unix epoch.
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
        """Return a new signed token.

        Raises:
            TokensDisabled: The host's setting ``allow_signed_tokens`` is off.
            TypeError: A field of the restrictions has a value of another type than the class declares.
            ValueError: `expires_after` is not a whole number of seconds above 0.
        """
        if not datasette.setting("allow_signed_tokens"):
            raise TokensDisabled
        # Datasette creates a token that never expires if this is 0. That is more likely a mistake than a wish.
        if expires_after is not None and (not _is_integer(expires_after) or expires_after <= 0):
            raise ValueError(
                f"expires_after must be a whole number of seconds above 0, or None for a token that never expires: "
                f"{expires_after!r}"
            )
        payload: dict[str, object] = {"a": actor_id, "t": int(self._clock())}
        if expires_after is not None:
            payload["d"] = expires_after
        abbreviated = None if restrictions is None else compact_form(restrictions, datasette)
        if abbreviated is not None:
            payload["_r"] = abbreviated
        return PREFIX + datasette.sign(payload, namespace=NAMESPACE)

    async def verify_token(self, datasette: TokenHost, token: str) -> Actor | None:
        """Return the actor of a token, with the keys that Datasette gives it.

        ``id`` is the actor's id, and ``token`` the word ``"dstok"``. ``_r`` has the restrictions, if there are any. If the token
        or the host limits the lifetime, ``token_expires`` is its end in seconds since the Unix epoch.

        The checks run in this order: prefix, setting, signature, payload, lifetime. The prefix comes first, because a token
        without it may belong to another handler. Nothing of the payload is interpreted before the signature is verified.

        Returns:
            The actor, or `None` if the token does not have the prefix.

        Raises:
            TokensDisabled: The host's setting ``allow_signed_tokens`` is off.
            TokenSignatureInvalid: The token was forged, or signed with a secret that is no longer in use.
            TokenMalformed: The payload is not one that this handler writes.
            TokenExpired: The lifetime of the token, or the host's ``max_signed_tokens_ttl``, is over.
        """
        if not token.startswith(PREFIX):
            return None
        if not datasette.setting("allow_signed_tokens"):
            raise TokensDisabled
        payload, key_number = _payload(datasette, token)
        created = _created(payload)
        lifetime = _lifetime(payload.get("d"), datasette.setting("max_signed_tokens_ttl"))
        actor = SignedActor({"id": payload["a"], "token": "dstok"}, key_number)
        if "_r" in payload:
            actor["_r"] = payload["_r"]
        if lifetime is not None:
            # A comparison, not `clock() - created`: a payload may hold an integer that is too large to become a float.
            # The token is still valid in its last second, as in Datasette.
            if self._clock() > created + lifetime:
                raise TokenExpired(created + lifetime)
            actor["token_expires"] = created + lifetime
        return actor


def _payload(datasette: TokenHost, token: str) -> tuple[Mapping[str, object], int | None]:
    """Return the payload of a token, once its signature, its actor and its lifetime are checked, and the number of its key."""
    try:
        payload, key_number = _unsign(datasette, token[len(PREFIX) :])
    except (itsdangerous.BadData, UnicodeError):
        # A UnicodeError means that a lone surrogate in the token cannot be encoded.
        # The original exception carries the payload of the token.
        raise TokenSignatureInvalid from None
    if not isinstance(payload, Mapping):
        raise TokenMalformed
    if "a" not in payload:
        raise TokenMalformed("Invalid token: no actor")
    if payload.get("d") is not None and not _is_integer(payload["d"]):
        raise TokenMalformed("Invalid token: invalid duration")
    return payload, key_number


def _unsign(datasette: TokenHost, signed: str) -> tuple[object, int | None]:
    # A Datasette has one key, and no such method.
    unsign_numbered = getattr(datasette, "unsign_numbered", None)
    if unsign_numbered is None:
        return datasette.unsign(signed, namespace=NAMESPACE), None
    value, number = unsign_numbered(signed, namespace=NAMESPACE)
    return value, number


def _created(payload: Mapping[str, object]) -> int:
    created = payload.get("t")
    if created is None:
        raise TokenMalformed("Invalid token: no timestamp")
    if not isinstance(created, int) or isinstance(created, bool):
        raise TokenMalformed("Invalid token: invalid timestamp")
    return created


def _lifetime(requested: object, maximum: object) -> int | None:
    """Return the shorter of the two lifetimes in seconds; `None` or 0 means no limit, as in Datasette."""
    lifetimes = [lifetime for lifetime in (requested, maximum) if isinstance(lifetime, int) and lifetime]
    return min(lifetimes, default=None)


def _is_integer(value: object) -> bool:
    """Return True for an `int` that is not a `bool`, which is a subclass of `int`."""
    return isinstance(value, int) and not isinstance(value, bool)
