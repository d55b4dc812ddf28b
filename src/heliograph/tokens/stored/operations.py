"""The functions that a program calls to manage the tokens of a host: `heliograph.tokens.issue` and the others.

The command line and the page in Datasette call these functions, and nothing else.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from heliograph.ambient_actor import current_actor
from heliograph.errors import NoTokenDatabase
from heliograph.tokens.handler import TokenHost
from heliograph.tokens.restrictions import TokenRestrictions, compact_form, is_narrower
from heliograph.tokens.stored import token_text
from heliograph.tokens.stored.handler import DatabaseTokenHandler, check_seconds, longest_lifetime
from heliograph.tokens.stored.record import STATES, Secret, Token
from heliograph.tokens.stored.store import TokenDatabase, TokenStore
from heliograph.tokens.telemetry import TokenTelemetry

LATEST_REPLACEMENT_SECONDS: Final = 30 * 24 * 60 * 60
"""The time after which a replaced secret ends even if the new one was never used."""

# Both sides are weak: a handler tracks its events through its host, so it would keep the host alive, which keeps the handler.
_handlers: Final[weakref.WeakKeyDictionary[object, weakref.ref[DatabaseTokenHandler]]] = weakref.WeakKeyDictionary()


def keep_tokens(
    host: object, database: TokenDatabase, telemetry: TokenTelemetry, *, cache_seconds: float
) -> DatabaseTokenHandler:
    """Return a new handler for the tokens of a host, which the functions of this module use from now on.

    The host keeps it alive; this module does not.

    Args:
        host: A `heliograph.Host` or a Datasette.
        database: The database that keeps the tokens.
        telemetry: Records their creation, and makes their events.
        cache_seconds: See `DatabaseTokenHandler`.
    """
    handler = DatabaseTokenHandler(TokenStore(database), telemetry, cache_seconds=cache_seconds)
    _handlers[host] = weakref.ref(handler)
    return handler


def handler_of(host: object) -> DatabaseTokenHandler:
    """Return the handler for the tokens of a host.

    Raises:
        NoTokenDatabase: The host keeps no tokens in a database.
    """
    reference = _handlers.get(host)
    handler = None if reference is None else reference()
    if handler is None:
        raise NoTokenDatabase
    return handler


@dataclass(frozen=True, kw_only=True)
class IssuedToken:
    """A token that was just made.

    Attributes:
        id: The id, which is not secret.
        token: The token itself. It is not kept anywhere, so nobody can read it again. The `repr` does not contain it.
    """

    id: str
    token: str = field(repr=False)


async def issue(
    host: TokenHost,
    actor_id: str,
    *,
    label: str | None = None,
    expires_after: int | None = None,
    unused_after: int | None = None,
    restrictions: TokenRestrictions | None = None,
) -> IssuedToken:
    """Create a token in the database of a host.

    Args:
        host: A `heliograph.Host` or a Datasette.
        actor_id: The id of the actor that the token authenticates.
        label: A text for people.
        expires_after: The lifetime in seconds; `None` means that it does not end by itself.
        unused_after: The seconds without use after which it ends, 300 at least; `None` sets no such limit.
        restrictions: The actions that the token allows; `None` allows everything that the actor may do.

    Raises:
        NoTokenDatabase: The host keeps no tokens in a database.
        TypeError: A field of the restrictions has a value of another type than the class declares.
        ValueError: An argument cannot be used.
    """
    handler = handler_of(host)
    create = partial(
        handler.issue,
        host,
        actor_id,
        label=label,
        expires_after=expires_after,
        unused_after=unused_after,
        restrictions=restrictions,
    )
    record, token = await handler.telemetry.creation(handler.name, actor_id, create, lambda created: created[0].id)
    return IssuedToken(id=record.id, token=token)


async def revoke(host: TokenHost, token_id: str) -> bool:
    """Revoke a token. Return False if it was revoked before. The current actor is noted as the one who did it.

    It has an effect at once in this process, and in others after ``HELIOGRAPH_TOKEN_CACHE_SECONDS`` at most.

    Raises:
        NoTokenDatabase: The host keeps no tokens in a database.
        TokenNotFound: There is no such token.
    """
    handler = handler_of(host)
    with handler.cache.forget_after():
        is_changed = await handler.store.revoke(token_id, now=handler.clock(), by=_current_actor_id())
    if is_changed:
        await handler.lifecycle.revoked(token_id, handler.name)
    return is_changed


async def revoke_all(host: TokenHost, actor_id: str | None = None) -> int:
    """Revoke all tokens of an actor, or of everybody. Return the number of those that were not revoked before.

    Raises:
        NoTokenDatabase: The host keeps no tokens in a database.
    """
    handler = handler_of(host)
    with handler.cache.forget_after():
        revoked = await handler.store.revoke_all(actor_id, now=handler.clock(), by=_current_actor_id())
    for token in revoked:
        await handler.lifecycle.revoked(token.id, handler.name)
    return len(revoked)


async def restrict(host: TokenHost, token_id: str, restrictions: TokenRestrictions) -> None:
    """Restrict a token further. It can only get narrower: the person who gave it to somebody relies on what it allowed then.

    Raises:
        NoTokenDatabase: The host keeps no tokens in a database.
        TokenNotFound: There is no such token.
        TypeError: A field of the restrictions has a value of another type than the class declares.
        ValueError: The restrictions allow something that the token does not allow now.
    """
    handler = handler_of(host)
    new = compact_form(restrictions, host)
    is_changed = False
    # Another process may change them between the reading and the writing.
    while not is_changed:
        old = (await handler.store.get(token_id)).restrictions
        if not is_narrower(new, old):
            raise ValueError(
                "these restrictions allow actions that the token does not allow now; a token can only get narrower"
            )
        with handler.cache.forget_after():
            is_changed = await handler.store.restrict(token_id, old, new)


async def rotate(
    host: TokenHost, token_id: str, *, grace: int, latest: int = LATEST_REPLACEMENT_SECONDS
) -> IssuedToken:
    """Give a token a new secret, and return it. The old one ends some time after the new one is first used.

    So the new secret can be brought to where it is needed without an interruption, however long that takes.

    Args:
        host: A `heliograph.Host` or a Datasette.
        token_id: The token. It keeps its id.
        grace: The seconds from the first use of the new secret to the end of the old one; 0 ends the old one now.
        latest: The seconds from now after which the old secret ends in any case, by default 30 days.

    Raises:
        NoTokenDatabase: The host keeps no tokens in a database.
        TokenNotFound: There is no such token.
        TokenRevoked: The token is revoked.
        TokenExpired: The token has expired, by its own lifetime or the host's limit.
        ValueError: A time cannot be used.
    """
    for name, seconds in {"grace": grace, "latest": latest}.items():
        if seconds is None:
            raise ValueError(f"{name} must be a whole number of seconds")
        check_seconds(name, seconds, at_least=0)
    handler = handler_of(host)
    now = handler.clock()
    (await handler.store.get(token_id)).check(
        now, last_seen=handler.usage.last_used(token_id), longest_lifetime=longest_lifetime(host)
    )
    token = token_text.new_token(token_id)
    with handler.cache.forget_after():
        await handler.store.add_secret(
            token_id, token_text.hash_of(token), now=now, grace=grace, latest_end=now + latest
        )
    await handler.lifecycle.rotated(token_id, handler.name, grace=grace)
    return IssuedToken(id=token_id, token=token)


async def get(host: TokenHost, token_id: str) -> Token:
    """Return the token with this id, without its secrets.

    Raises:
        NoTokenDatabase: The host keeps no tokens in a database.
        TokenNotFound: There is no such token.
    """
    return await handler_of(host).store.get(token_id)


async def secrets(host: TokenHost, token_id: str) -> list[Secret]:
    """Return when each secret of a token was created, first used and replaced, the newest first. The secrets are not stored.

    Raises:
        NoTokenDatabase: The host keeps no tokens in a database.
        TokenNotFound: There is no such token.
    """
    return await handler_of(host).store.secrets(token_id)


async def find(host: TokenHost, token: str) -> Secret | None:
    """Return the record of a whole token, or `None` if it is unknown. Unlike a verification, it is no use of the token.

    It is found by its hash alone, so an id that somebody else's text contains finds nothing. A text that has not the form of a token,
    or a wrong checksum, costs no query.

    Raises:
        NoTokenDatabase: The host keeps no tokens in a database.
    """
    handler = handler_of(host)
    return await handler.store.find(token_text.hash_of(token)) if token_text.is_well_formed(token) else None


def state_of(host: TokenHost, token: Token) -> str:
    """Return the state of a token now: ``"active"``, ``"expired"`` or ``"revoked"``.

    Raises:
        NoTokenDatabase: The host keeps no tokens in a database.
    """
    return token.state(handler_of(host).clock(), longest_lifetime=longest_lifetime(host))


async def tokens(host: TokenHost, actor_id: str | None = None, *, state: str | None = None) -> list[Token]:
    """Return the tokens of an actor, or of everybody, the newest first, without their secrets.

    Args:
        host: A `heliograph.Host` or a Datasette.
        actor_id: The actor; `None` means everybody.
        state: ``"active"``, ``"expired"`` or ``"revoked"``; `None` means all.

    Raises:
        NoTokenDatabase: The host keeps no tokens in a database.
        ValueError: There is no such state.
    """
    if state is not None and state not in STATES:
        raise ValueError(f"state must be None, or one of {', '.join(STATES)}: {state!r}")
    found = await handler_of(host).store.find_all(actor_id)
    return [token for token in found if state in {None, state_of(host, token)}]


def _current_actor_id() -> str | None:
    actor = current_actor()
    known = None if actor is None else actor.get("id")
    # The database cannot store half of a surrogate pair; a revocation must not fail for it.
    return None if known is None else str(known).encode("utf-8", "backslashreplace").decode("utf-8")
