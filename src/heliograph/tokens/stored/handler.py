"""The token handler of the tokens in a database."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from heliograph.ambient_actor import Actor
from heliograph.errors import TokenInvalid, TokenMalformed, TokenSignatureInvalid
from heliograph.tokens.handler import TokenHandler, TokenHandlerLike, TokenHost
from heliograph.tokens.restrictions import TokenRestrictions, compact_form
from heliograph.tokens.stored import token_text
from heliograph.tokens.stored.cache import SecretCache
from heliograph.tokens.stored.record import Secret, Token
from heliograph.tokens.stored.store import TokenStore
from heliograph.tokens.stored.usage import INTERVAL_SECONDS, Usage
from heliograph.tokens.telemetry import TokenTelemetry

MAX_SECONDS: Final = 2**31 - 1
"""The longest time that an argument accepts: 68 years."""
MIN_UNUSED_SECONDS: Final = 300
"""The shortest `unused_after`: uses are written once a minute, so a shorter time would end tokens that are in use."""


class DatabaseTokenHandler(TokenHandler):
    """Creates and verifies tokens that are kept in a database, as hashes.

    Every text with the prefix ``hgtok_`` is this handler's: it is valid, or rejected by an exception. All other texts belong to other
    handlers.

    Args:
        store: The tables.
        telemetry: Records the creation of the tokens, and makes their events.
        cache_seconds: The time for which a valid token is not looked up again; 0 looks it up each time.
        clock: Returns the time now in seconds since the Unix epoch.

    Attributes:
        store: The tables.
        telemetry: Records the creation of the tokens.
        lifecycle: Makes the events of the tokens.
        cache: The tokens that were found a short time ago.
        usage: The uses that are not written yet.
        clock: Returns the time now in seconds since the Unix epoch.
    """

    name = "database"

    def __init__(
        self,
        store: TokenStore,
        telemetry: TokenTelemetry,
        *,
        cache_seconds: float = 5,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.telemetry = telemetry
        self.lifecycle = telemetry.lifecycle
        self.cache = SecretCache(cache_seconds)
        self.usage = Usage()
        self.clock = clock

    async def create_token(
        self,
        datasette: TokenHost,
        actor_id: str,
        *,
        expires_after: int | None = None,
        restrictions: TokenRestrictions | None = None,
    ) -> str:
        """Return a new token. `heliograph.tokens.issue` returns its id as well, and accepts more.

        Raises:
            TypeError: A field of the restrictions has a value of another type than the class declares.
            ValueError: An argument cannot be used.
        """
        _, created = await self.issue(datasette, actor_id, expires_after=expires_after, restrictions=restrictions)
        return created

    async def issue(
        self,
        datasette: TokenHost,
        actor_id: str,
        *,
        label: str | None = None,
        expires_after: int | None = None,
        unused_after: int | None = None,
        restrictions: TokenRestrictions | None = None,
    ) -> tuple[Token, str]:
        """Create a token. Return its record, and the token itself, which nobody can read again.

        Raises:
            TypeError: A field of the restrictions has a value of another type than the class declares.
            ValueError: An argument cannot be used.
        """
        if not isinstance(actor_id, str) or not actor_id:
            raise ValueError("actor_id must be text, and not empty")
        if label is not None and not isinstance(label, str):
            raise ValueError(f"label must be text, or None: {type(label).__name__}")
        check_seconds("expires_after", expires_after, at_least=1)
        check_seconds("unused_after", unused_after, at_least=MIN_UNUSED_SECONDS)
        now = self.clock()
        record = Token(
            id=token_text.new_id(),
            actor_id=actor_id,
            label=label,
            restrictions=None if restrictions is None else compact_form(restrictions, datasette),
            created=now,
            expires=None if expires_after is None else now + expires_after,
            unused_after=unused_after,
        )
        token = token_text.new_token(record.id)
        await self.store.add(record, token_text.hash_of(token))
        return record, token

    async def verify_token(self, datasette: TokenHost, token: str) -> Actor | None:
        """Return the actor of a token, or `None` if it does not begin with ``hgtok_``.

        ``id`` is the actor's id, ``token`` the word ``"hgtok"``, and ``token_id`` the id of the token. ``_r`` has the restrictions,
        and ``token_expires`` the end in seconds since the Unix epoch, if there are any.

        Raises:
            TokenMalformed: It is too long, is not of the form of a token, or its checksum is wrong.
            TokenSignatureInvalid: There is no such token in the database.
            TokenRevoked: It was revoked, or replaced by a newer secret of the same token.
            TokenExpired: Its lifetime, or the host's limit of it, is over, or it was not used for too long.
            sqlite3.Error: The database cannot be read.
        """
        if not token.startswith(token_text.PREFIX):
            return None
        hash_ = _checked_hash(token)
        now = self.clock()
        secret = self._cached(hash_, now)
        if secret is None:
            secret = await self._look_up(hash_, now)
        actor = self.accept(datasette, secret, now)
        if secret.first_used is None:
            # The cache first, so that the next verification, perhaps in another thread, need not do the same.
            self.cache.update(hash_, secret, replace(secret, first_used=now))
            self.lifecycle.tracker.run_later(partial(self._note_first_use, hash_, secret, actor, now))
        self.note_use(secret, now)
        return actor

    def without_waiting(self, token: str) -> TokenHandlerLike | None:
        """Return a handler whose `verify_token` answers for this token without waiting; `None` if the database has to be asked."""
        if not token_text.is_well_formed(token):
            # It does not look up such a text.
            return self
        secret = self._cached(token_text.hash_of(token), self.clock())
        return None if secret is None or secret.first_used is None else _CachedTokenHandler(self, secret)

    def note_use(self, secret: Secret, now: float) -> None:
        """Note a use of a token. It is written in the background, a minute after it at the latest, with all others until then."""
        is_due = self.usage.note(secret.token.id, now)
        if is_due or not self.usage.is_planned:
            delay = 0.0 if is_due else INTERVAL_SECONDS
            if self.usage.plan(now, now + delay):
                self.lifecycle.tracker.run_later(self.flush, delay)

    async def flush(self) -> None:
        """Write the uses that were collected."""
        uses = self.usage.take(self.clock())
        if not uses:
            return
        try:
            await self.store.write_last_used(uses)
        except BaseException:
            self.usage.put_back(uses)
            raise

    def _cached(self, hash_: bytes, now: float) -> Secret | None:
        """Return a secret that was found a short time ago, unless the database may have a later use that makes it valid."""
        secret = self.cache.get(hash_, now)
        if secret is None or secret.token.unused_after is None:
            return secret
        try:
            secret.check(now, last_seen=self.usage.last_used(secret.token.id))
        except TokenInvalid:
            return None
        return secret

    async def _look_up(self, hash_: bytes, now: float) -> Secret:
        generation = self.cache.generation
        secret = await self.store.find(hash_)
        if secret is None:
            raise TokenSignatureInvalid
        self.cache.put(hash_, secret, now, generation)
        return secret

    def accept(self, datasette: TokenHost, secret: Secret, now: float) -> Actor:
        """Return the actor of a token that was found, or reject it; see `verify_token`."""
        ends = secret.check(
            now,
            last_seen=self.usage.last_used(secret.token.id),
            longest_lifetime=longest_lifetime(datasette),
        )
        return secret.token.actor(ends)

    async def _note_first_use(self, hash_: bytes, secret: Secret, actor: Actor, now: float) -> None:
        if await self.store.claim_first_use(hash_, now=now):
            # The secret that it replaces may be in the cache, with another end.
            if secret.grace is not None:
                self.cache.forget()
            await self.lifecycle.first_used(actor, self.name)


class _CachedTokenHandler(TokenHandler):
    """Answers for one token that was verified a short time ago.

    Args:
        handler: The handler.
        secret: The token, as it was in the cache.
    """

    def __init__(self, handler: DatabaseTokenHandler, secret: Secret) -> None:
        self.name = handler.name
        self._handler = handler
        self._secret = secret

    async def verify_token(self, datasette: TokenHost, token: str) -> Actor | None:  # noqa: ARG002 — it is this one
        now = self._handler.clock()
        actor = self._handler.accept(datasette, self._secret, now)
        self._handler.note_use(self._secret, now)
        return actor


def _checked_hash(token: str) -> bytes:
    if not token_text.is_well_formed(token):
        raise TokenMalformed("Invalid token: wrong form or checksum")
    return token_text.hash_of(token)


def longest_lifetime(datasette: TokenHost) -> int | None:
    """Return the longest lifetime that the host allows, in seconds; `None` or 0 is no limit, as in Datasette."""
    longest = datasette.setting("max_signed_tokens_ttl")
    return longest if isinstance(longest, int) else None


def check_seconds(name: str, value: object, *, at_least: int) -> None:
    """Raise `ValueError` unless the value is a whole number of seconds in its range, or `None`."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if value is None or (is_number and at_least <= value <= MAX_SECONDS):  # type: ignore[operator]
        return
    shown = value if is_number and abs(value) <= MAX_SECONDS else type(value).__name__  # type: ignore[arg-type]
    raise ValueError(f"{name} must be None, or a whole number of seconds from {at_least} to {MAX_SECONDS}: {shown!r}")
