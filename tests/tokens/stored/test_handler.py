"""The handler accepts the tokens of its database, rejects what only looks like one, and leaves other texts to other handlers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from heliograph import (
    TokenExpired,
    TokenInvalid,
    TokenMalformed,
    TokenRestrictions,
    TokenRevoked,
    TokenSignatureInvalid,
    tokens,
)
from heliograph.tokens.stored import token_text
from tokens.stored.rig import TokenHost


@pytest.fixture
def host(tmp_path: Path) -> Iterator[TokenHost]:
    with TokenHost(tmp_path / "tokens.db") as host:
        yield host


def rows(host: TokenHost, sql: str) -> list[tuple[object, ...]]:
    """Read the file as another program would."""
    with closing(sqlite3.connect(str(host.settings.token_database))) as connection:
        return connection.execute(sql).fetchall()


def test_token_is_verified(host: TokenHost) -> None:
    """The actor has the id of the token, and its restrictions and its end if there are any."""
    plain = host.run(host.create_token("alice"))
    restricted = host.run(
        host.create_token("bob", expires_after=60, restrictions=TokenRestrictions().allow_all("view-instance"))
    )

    assert host.run(host.verify_token(plain)) == {"id": "alice", "token": "hgtok", "token_id": plain[6:18]}
    assert host.run(host.verify_token(restricted)) == {
        "id": "bob",
        "token": "hgtok",
        "token_id": restricted[6:18],
        "_r": {"a": ["vi"]},
        "token_expires": 1_000_060,
    }


@pytest.mark.parametrize(
    ("token", "error"),
    [
        ("", None),
        ("dstok_x", None),
        ("HGTOK_" + "0" * 61, None),
        ("hgtok_", TokenMalformed),
        ("hgtok_" + "0" * 61, TokenMalformed),
        ("hgtok_" + "0" * 1024 * 1024, TokenMalformed),
        ("hgtok_\0", TokenMalformed),
        ("hgtok_\ud800", TokenMalformed),
        ("hgtok_é", TokenMalformed),
        (token_text.new_token("000000000000"), TokenSignatureInvalid),
        (token_text.new_token("000000000000") + "\n", TokenMalformed),
    ],
)
def test_bad_text_is_rejected_or_not_ours(host: TokenHost, token: str, error: type[TokenInvalid] | None) -> None:
    """The prefix decides. No rejection quotes the token."""
    if error is None:
        assert host.run(host.verify_token(token)) is None
        return
    with pytest.raises(error) as caught:
        host.run(host.verify_token(token))
    assert token not in str(caught.value)


def test_malformed_text_costs_no_query(host: TokenHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checksum is tested before the database is asked."""
    monkeypatch.setattr(host.handler, "store", None)

    with pytest.raises(TokenMalformed):
        host.run(host.verify_token("hgtok_" + "0" * 61))


def test_file_contains_no_secret(host: TokenHost) -> None:
    """The hash of the token is all that is kept."""
    token = host.run(host.create_token("alice"))
    host.run(host.verify_token(token))
    host.shutdown()

    kept = b"".join(file.read_bytes() for file in Path(str(host.settings.token_database)).parent.iterdir())
    assert token[6:18].encode() in kept
    assert token[18:61].encode() not in kept
    assert token_text.hash_of(token) in kept


@pytest.mark.parametrize(
    "arguments",
    [
        {"actor_id": ""},
        {"actor_id": 7},
        {"expires_after": 0},
        {"expires_after": -1},
        {"expires_after": 1.5},
        {"expires_after": True},
        {"expires_after": 10**400},
        {"expires_after": "60"},
    ],
)
def test_argument_that_cannot_be_used_is_an_error(host: TokenHost, arguments: dict[str, object]) -> None:
    """No token is created, and the message names the argument."""
    with pytest.raises(ValueError, match=next(iter(arguments))):
        host.run(host.create_token(**{"actor_id": "alice", **arguments}))  # type: ignore[arg-type]
    assert host.run(tokens.tokens(host)) == []


def test_lifetime_has_two_limits(tmp_path: Path) -> None:
    """A token ends by its own limit, or by the host's for all tokens."""
    with TokenHost(tmp_path / "tokens.db", token_ttl=100, token_cache_seconds=60) as host:
        short = host.run(host.create_token("alice", expires_after=50))
        long = host.run(host.create_token("alice"))
        host.clock.now += 51
        with pytest.raises(TokenExpired):
            host.run(host.verify_token(short))
        assert host.run(host.verify_token(long))["token_expires"] == 1_000_100  # type: ignore[index]
        host.clock.now += 50  # the token is still in the cache
        with pytest.raises(TokenExpired):
            host.run(host.verify_token(long))


def test_token_ends_if_it_is_not_used(host: TokenHost) -> None:
    """Each use puts its end off, also one that was answered by the cache."""
    token = host.run(tokens.issue(host, "alice", unused_after=300)).token
    for _ in range(5):
        host.clock.now += 200
        host.run(host.verify_token(token))
        host.clock.now += 2
        host.run(host.verify_token(token))
    host.clock.now += 301

    with pytest.raises(TokenExpired):
        host.run(host.verify_token(token))


def test_verification_writes_at_most_once_a_minute(host: TokenHost) -> None:
    """The first use is written at once. The rest is written at shutdown."""
    token = host.run(host.create_token("alice"))
    first_used = "select first_used from heliograph_token_secrets"
    last_used = "select last_used from heliograph_tokens"
    assert rows(host, first_used) == rows(host, last_used) == [(None,)]

    host.run(host.verify_token(token))
    assert rows(host, first_used) == rows(host, last_used) == [(1_000_000.0,)]
    host.clock.now += 59
    host.run(host.verify_token(token))
    assert rows(host, last_used) == [(1_000_000.0,)]
    host.clock.now += 1
    host.run(host.verify_token(token))
    assert rows(host, last_used) == [(1_000_060.0,)]
    host.clock.now += 5
    host.run(host.verify_token(token))
    host.shutdown()

    assert rows(host, last_used) == [(1_000_065.0,)]
    assert rows(host, first_used) == [(1_000_000.0,)]


def test_use_is_written_without_another_one(host: TokenHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute after it, also if it follows a write and nobody uses a token any more."""
    first, second = (host.run(host.create_token(name)) for name in ("alice", "bob"))
    host.run(host.verify_token(first))
    later: list[tuple[float, object]] = []
    monkeypatch.setattr(host._background, "call_later", lambda seconds, run: later.append((seconds, run)))
    host.clock.now += 1
    for _ in range(2):
        host.run(host.verify_token(second))
    assert rows(host, "select last_used from heliograph_tokens order by actor_id") == [(1_000_000.0,), (None,)]

    [(seconds, run)] = later
    assert seconds == 60
    run()  # type: ignore[operator]
    assert host.flush(60_000)
    assert rows(host, "select last_used from heliograph_tokens order by actor_id") == [(1_000_000.0,), (1_000_001.0,)]


def test_use_by_another_process_keeps_a_token_alive(host: TokenHost) -> None:
    """The use is newer than what the cache has read."""
    token = host.run(tokens.issue(host, "alice", unused_after=300)).token
    host.clock.now += 299
    with TokenHost(host.settings.token_database) as other:  # type: ignore[arg-type]
        host.run(host.handler.store.prepare())
        host.handler.cache.put(
            token_text.hash_of(token), host.run(host.handler.store.find(token_text.hash_of(token))), host.clock.now, 0
        )  # type: ignore[arg-type]
        other.clock.now = host.clock.now
        other.run(other.verify_token(token))
    host.clock.now += 4

    assert host.handler.without_waiting(token) is None
    assert host.run(host.verify_token(token)) is not None


def test_existing_token_is_verified_without_a_write(host: TokenHost, tmp_path: Path) -> None:
    """The file may be on a medium that cannot be written. Only a use that cannot be noted is logged."""
    token = host.run(host.create_token("alice"))
    host.shutdown()
    with closing(sqlite3.connect(tmp_path / "tokens.db", isolation_level=None)) as other:
        other.execute("begin immediate")
        with TokenHost(tmp_path / "tokens.db") as reading:
            reading._databases.get("_tokens")._open = lambda: sqlite3.connect(  # type: ignore[method-assign]
                tmp_path / "tokens.db", timeout=0, check_same_thread=False, isolation_level=None
            )

            assert reading.run(reading.verify_token(token)) is not None
        other.execute("rollback")


def test_last_use_that_cannot_be_written_is_kept(host: TokenHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next attempt writes the use."""
    host.handler.usage.note("a", 7.0)

    async def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database is locked")

    with monkeypatch.context() as broken:
        broken.setattr(host.handler.store, "write_last_used", fail)
        with pytest.raises(sqlite3.OperationalError):
            host.run(host.handler.flush())

    assert host.handler.usage.last_used("a") == 7.0


def test_cache_answers_for_its_time(host: TokenHost, tmp_path: Path) -> None:
    """A revocation in the same process has an effect at once, one in another process after the time of the cache."""
    token = host.run(host.create_token("alice"))
    token_id = token[6:18]
    host.run(host.verify_token(token))
    with TokenHost(tmp_path / "tokens.db") as other:
        other.clock.now = host.clock.now
        assert other.run(other.verify_token(token)) is not None
        host.run(tokens.revoke(host, token_id))

        with pytest.raises(TokenRevoked):
            host.run(host.verify_token(token))
        assert other.run(other.verify_token(token)) is not None
        other.clock.now += 5
        with pytest.raises(TokenRevoked):
            other.run(other.verify_token(token))


def test_sync_verification_asks_the_database_only_if_it_must(host: TokenHost) -> None:
    """A token that was verified a short time ago, and a text that is no token, need no look-up."""
    token = host.run(host.create_token("alice"))
    assert host.handler.without_waiting(token) is None
    actor = host.verify(token)

    assert host.flush(60_000)
    assert host.handler.without_waiting(token) is not None
    assert host.verify(token) == actor
    with pytest.raises(TokenMalformed):
        host.verify("hgtok_x")
    assert host.verify("unknown") is None
    host.clock.now += 5
    assert host.handler.without_waiting(token) is None


def test_verification_does_not_wait_for_a_long_write(host: TokenHost) -> None:
    """Another connection holds the file's write lock the whole time."""
    token = host.run(host.create_token("alice"))
    host.run(host.verify_token(token))
    host.clock.now += 10
    with closing(sqlite3.connect(str(host.settings.token_database), isolation_level=None)) as writer:
        writer.execute("begin immediate")
        writer.execute("update heliograph_tokens set label = 'x'")

        assert host.run(host.verify_token(token)) is not None
        writer.execute("rollback")
