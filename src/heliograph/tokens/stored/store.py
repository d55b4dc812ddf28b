"""The two tables of the tokens, and every statement that reads or changes them.

``heliograph_tokens`` has a row for each token, ``heliograph_token_secrets`` one for each secret of a token: the SHA-256 of the whole
token is its key. Their names have a prefix because Datasette's internal database is shared by all plugins.

A step that must happen only once among all processes is one transaction. It holds SQLite's write lock from its beginning, so no other
process can write between its reads and its writes: `TokenDatabase.execute_write_fn` has to begin it with ``begin immediate``, as a `Host`'s
and Datasette's databases do. The process whose transaction has changed a row has done the step.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, Protocol, TypeVar, cast

from heliograph.errors import TokenNotFound
from heliograph.runtime.deadline import Deadline
from heliograph.tokens.stored.record import REPLACED_AT_ONCE, Secret, Token, parse_restrictions

T = TypeVar("T")

MIGRATIONS: Final = (
    """
    create table heliograph_tokens (
        id text primary key,
        actor_id text not null,
        label text,
        restrictions text,
        created real not null,
        last_used real,
        expires real,
        unused_after integer,
        revoked real,
        revoked_by text
    );
    create index heliograph_tokens_actor_id on heliograph_tokens (actor_id);
    create table heliograph_token_secrets (
        hash blob primary key,
        token_id text not null references heliograph_tokens (id),
        created real not null,
        first_used real,
        grace real,
        ends real
    ) without rowid;
    create index heliograph_token_secrets_token_id on heliograph_token_secrets (token_id);
    """,
)
"""The steps from an empty database to the present tables. A new version appends one, and changes none."""

LOCK_TIMEOUT_MILLIS: Final = 5000.0
"""The time to wait for other processes that use the file while its journal is switched."""
_LOCK_POLL_SECONDS: Final = 0.01
_VERSION_TABLE: Final = "create table if not exists heliograph_token_migrations (number integer primary key)"
_FIELDS: Final = tuple(field.name for field in fields(Token))
"""The columns of ``heliograph_tokens``, in the order in which they are read and written here: a row is the values of a `Token`."""
_COLUMNS: Final = ", ".join(_FIELDS)
_SECRET_FIELDS: Final = ("created", "first_used", "ends", "grace")
"""The columns of ``heliograph_token_secrets`` that a `Secret` has."""
_FIND: Final = f"""
select {", ".join("s." + column for column in _SECRET_FIELDS)}, {", ".join("t." + column for column in _FIELDS)}
from heliograph_token_secrets s join heliograph_tokens t on t.id = s.token_id where s.hash = ?
"""  # noqa: S608 — no user's text
_FIND_SECRETS: Final = f"""
select {", ".join(_SECRET_FIELDS)} from heliograph_token_secrets where token_id = ? order by ends is not null, created desc
"""  # noqa: S608 — no user's text


class Rows(Protocol):
    """The result of a query."""

    @property
    def rows(self) -> list[sqlite3.Row]:
        """The rows."""


class TokenDatabase(Protocol):
    """The part of a database that is used here. A `Host`'s and a Datasette's databases both have it."""

    async def execute(self, sql: str, params: Sequence[object] | None = None) -> Rows:
        """Run a query."""

    async def execute_write_fn(
        self, fn: Callable[[sqlite3.Connection], T], block: bool = True, transaction: bool = True
    ) -> T | uuid.UUID:
        """Call a function with the connection that writes. With ``block=False``, return an id at once.

        The function runs in a transaction that begins with ``begin immediate``: several functions read first, and then rely on what they
        have read. With ``transaction=False``, it runs in none.
        """


class TokenStore:
    """Reads and changes the tokens of one database.

    Args:
        database: The database.
    """

    def __init__(self, database: TokenDatabase) -> None:
        self._database = database
        self._is_prepared = False

    async def prepare(self) -> None:
        """Switch the file to the write-ahead log, and create or update the tables. Calls after the first one do nothing.

        Raises:
            sqlite3.Error: The database cannot be used.
        """
        if not self._is_prepared:
            await self._database.execute_write_fn(_use_write_ahead_log, transaction=False)
            await self._database.execute_write_fn(_migrate)
            self._is_prepared = True

    async def add(self, token: Token, hash_: bytes) -> None:
        """Add a new token with its first secret."""
        row = _to_row(token)

        def insert(connection: sqlite3.Connection) -> None:
            connection.execute(f"insert into heliograph_tokens ({_COLUMNS}) values ({_marks(row)})", row)  # noqa: S608
            _insert_secret(connection, token.id, hash_, token.created, None)

        await self._write(insert)

    async def find(self, hash_: bytes) -> Secret | None:
        """Return the secret with this hash, or `None`. It writes nothing, except where the tables are missing or older."""
        try:
            found = (await self._database.execute(_FIND, [hash_])).rows
        except sqlite3.OperationalError:
            if self._is_prepared:
                raise
            await self.prepare()
            found = (await self._database.execute(_FIND, [hash_])).rows
        if not found:
            return None
        row = tuple(found[0])
        return _to_secret(_from_row(row[len(_SECRET_FIELDS) :]), row)

    async def get(self, token_id: str) -> Token:
        """Return the token with this id.

        Raises:
            TokenNotFound: There is none.
        """
        found = await self._select("id = ?", [token_id])
        if not found:
            raise TokenNotFound(token_id)
        return found[0]

    async def secrets(self, token_id: str) -> list[Secret]:
        """Return the records of the secrets of a token, the newest first, without their hashes.

        Raises:
            TokenNotFound: There is no such token.
        """
        token = await self.get(token_id)
        found = (await self._database.execute(_FIND_SECRETS, [token_id])).rows
        return [_to_secret(token, row) for row in found]

    async def find_all(self, actor_id: str | None = None, *, limit: int = -1) -> list[Token]:
        """Return all tokens, or those of one actor, the newest first.

        Args:
            actor_id: The actor; `None` means everybody.
            limit: The largest number of tokens; -1 means all.
        """
        return await self._select("? is null or actor_id = ?", [actor_id, actor_id], limit=limit)

    async def revoke(self, token_id: str, *, now: float, by: str | None) -> bool:
        """Revoke a token. Return False if it was revoked before.

        Raises:
            TokenNotFound: There is no such token.
        """
        await self.get(token_id)
        return bool(await self._revoke("id = ?", [token_id], now=now, by=by))

    async def revoke_all(self, actor_id: str | None = None, *, now: float, by: str | None) -> list[Token]:
        """Revoke all tokens, or those of one actor. Return those that were not revoked before."""
        return await self._revoke("(? is null or actor_id = ?)", [actor_id, actor_id], now=now, by=by)

    async def restrict(self, token_id: str, old: Mapping[str, object] | None, new: Mapping[str, object] | None) -> bool:
        """Change the restrictions of a token. Return False, and change nothing, if they are not the old ones any more."""

        def update(connection: sqlite3.Connection) -> bool:
            # Another program may have written the same restrictions as another text.
            found = connection.execute("select restrictions from heliograph_tokens where id = ?", [token_id]).fetchone()
            if found is None or parse_restrictions(found[0]) != old:
                return False
            sql = "update heliograph_tokens set restrictions = ? where id = ? and restrictions is ?"
            return connection.execute(sql, [_to_json(new), token_id, found[0]]).rowcount == 1

        return await self._write(update)

    async def add_secret(self, token_id: str, hash_: bytes, *, now: float, grace: float, latest_end: float) -> None:
        """Add a secret to a token. The newest of the others is replaced later, and those before it now.

        Args:
            token_id: The token.
            hash_: The hash of the new secret.
            now: The time now.
            grace: The seconds from the first use of the new secret to the end of the old one; 0 ends it now.
            latest_end: The time when the old one ends, whether or not the new one is used.
        """

        def replace(connection: sqlite3.Connection) -> None:
            # At most two secrets of a token live: one that was being replaced already ends now.
            _end_secrets(connection, "token_id = ? and ends is not null", [token_id], at=REPLACED_AT_ONCE)
            end = latest_end if grace else REPLACED_AT_ONCE
            _end_secrets(connection, "token_id = ? and ends is null", [token_id], at=end)
            _insert_secret(connection, token_id, hash_, now, grace)

        await self._write(replace)

    async def claim_first_use(self, hash_: bytes, *, now: float) -> bool:
        """Note the first use of a secret, and begin the grace time of the one that it replaces.

        Returns:
            True if this call was the first of all processes to note it. It is committed then.
        """

        def claim(connection: sqlite3.Connection) -> bool:
            sql = "update heliograph_token_secrets set first_used = ? where hash = ? and first_used is null"
            if connection.execute(sql, [now, hash_]).rowcount != 1:
                return False
            [(token_id, grace)] = connection.execute(
                "select token_id, grace from heliograph_token_secrets where hash = ?", [hash_]
            )
            if grace is not None:
                # Never the newest one: that has replaced this one, if it is another one, and waits for its own first use.
                older = "token_id = ? and hash != ? and ends is not null"
                _end_secrets(connection, older, [token_id, hash_], at=now + grace)
            return True

        return await self._write(claim)

    async def write_last_used(self, uses: Mapping[str, float]) -> None:
        """Write the last use of tokens, by id. A later time in the database stays."""

        def write(connection: sqlite3.Connection) -> None:
            sql = "update heliograph_tokens set last_used = max(coalesce(last_used, 0), ?) where id = ?"
            connection.executemany(sql, [(used, token_id) for token_id, used in uses.items()])

        await self._write(write)

    async def _select(self, condition: str, parameters: Sequence[object], *, limit: int = -1) -> list[Token]:
        await self.prepare()
        sql = f"select {_COLUMNS} from heliograph_tokens where {condition} order by created desc, id limit ?"  # noqa: S608
        return [_from_row(row) for row in (await self._database.execute(sql, [*parameters, limit])).rows]

    async def _revoke(self, condition: str, parameters: Sequence[object], *, now: float, by: str | None) -> list[Token]:
        def update(connection: sqlite3.Connection) -> list[Token]:
            unrevoked = f"from heliograph_tokens where {condition} and revoked is null"
            rows = connection.execute(f"select {_COLUMNS} {unrevoked} order by created desc, id", parameters).fetchall()
            changes = [(now, by, row[0]) for row in rows]
            connection.executemany("update heliograph_tokens set revoked = ?, revoked_by = ? where id = ?", changes)
            return [_from_row(row) for row in rows]

        return await self._write(update)

    async def _write(self, function: Callable[[sqlite3.Connection], T]) -> T:
        await self.prepare()
        # It is never a UUID, since the call blocks.
        return cast("T", await self._database.execute_write_fn(function))


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch a file to the write-ahead log, and wait for other processes that use it.

    Raises:
        sqlite3.OperationalError: The file is still locked after the timeout.
    """
    deadline = Deadline(LOCK_TIMEOUT_MILLIS)
    while True:
        try:
            connection.execute("pragma journal_mode = wal").fetchall()
        except sqlite3.OperationalError:
            # SQLite does not wait here for another process that does the same at this moment: it reports a lock at once.
            if not deadline.remaining():
                raise
            time.sleep(_LOCK_POLL_SECONDS)
        else:
            return


def _migrate(connection: sqlite3.Connection) -> None:
    connection.execute(_VERSION_TABLE)
    [done] = connection.execute("select count(*) from heliograph_token_migrations").fetchone()
    for number, migration in enumerate(MIGRATIONS[done:], start=done):
        # Not `executescript`, which would commit the transaction that keeps other processes out.
        for statement in migration.split(";"):
            connection.execute(statement)
        connection.execute("insert into heliograph_token_migrations values (?)", [number])


def _insert_secret(
    connection: sqlite3.Connection, token_id: str, hash_: bytes, created: float, grace: float | None
) -> None:
    sql = "insert into heliograph_token_secrets (hash, token_id, created, grace) values (?, ?, ?, ?)"
    connection.execute(sql, [hash_, token_id, created, grace])


def _end_secrets(connection: sqlite3.Connection, condition: str, parameters: Iterable[object], *, at: float) -> None:
    """Let secrets end at a time, or at an earlier one that they have already."""
    sql = f"update heliograph_token_secrets set ends = min(coalesce(ends, ?), ?) where {condition}"  # noqa: S608
    connection.execute(sql, [at, at, *parameters])


def _to_row(token: Token) -> list[object]:
    return list({**vars(token), "restrictions": _to_json(token.restrictions)}.values())


def _from_row(row: Iterable[Any]) -> Token:
    found = dict(zip(_FIELDS, row))
    return Token(**{**found, "restrictions": parse_restrictions(found["restrictions"])})


def _to_secret(token: Token, row: Iterable[Any]) -> Secret:
    return Secret(token=token, **dict(zip(_SECRET_FIELDS, row)))


def _to_json(restrictions: Mapping[str, object] | None) -> str | None:
    return None if restrictions is None else json.dumps(restrictions, sort_keys=True)


def _marks(row: list[object]) -> str:
    return ", ".join("?" for _ in row)
