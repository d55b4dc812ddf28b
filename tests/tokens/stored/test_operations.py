"""Tokens in a database are issued, listed, revoked, restricted and rotated."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import weakref
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from heliograph import (
    Host,
    NoTokenDatabase,
    Settings,
    TokenExpired,
    TokenNotFound,
    TokenRestrictions,
    TokenRevoked,
    acting_as,
    tokens,
)
from tokens.stored.rig import TokenHost

MONTH = 30 * 24 * 60 * 60


@pytest.fixture
def host(tmp_path: Path) -> Iterator[TokenHost]:
    with TokenHost(tmp_path / "tokens.db", token_cache_seconds=0) as host:
        yield host


def is_valid(host: TokenHost, token: str) -> bool:
    try:
        return host.run(host.verify_token(token)) is not None
    except (TokenRevoked, TokenExpired):
        return False


def test_repr_of_an_issued_token_does_not_contain_it(host: TokenHost) -> None:
    """A log line or a traceback may show the object."""
    issued = host.run(tokens.issue(host, "alice"))

    assert issued.token not in repr(issued)
    assert issued.id == issued.token[6:18]
    assert issued.id in repr(issued)


def test_tokens_are_listed_by_actor_and_state(host: TokenHost) -> None:
    """The newest token is the first."""
    first = host.run(tokens.issue(host, "alice", label="first", expires_after=10)).id
    host.clock.now += 1
    second = host.run(tokens.issue(host, "alice", label="second")).id
    host.clock.now += 1
    third = host.run(tokens.issue(host, "bob")).id
    with acting_as({"id": "root"}):
        assert host.run(tokens.revoke(host, third))
    host.clock.now += 20

    def ids(**conditions: str) -> list[str]:
        return [token.id for token in host.run(tokens.tokens(host, **conditions))]

    assert ids() == [third, second, first]
    assert ids(actor_id="alice") == [second, first]
    assert ids(state="active") == [second]
    assert ids(state="expired") == [first]
    assert ids(state="revoked") == [third]
    [token] = host.run(tokens.tokens(host, "bob"))
    assert (token.revoked, token.revoked_by) == (1_000_002.0, "root")


@pytest.mark.parametrize("state", ["Active", "", ["active"]])
def test_unknown_state_is_an_error(host: TokenHost, state: Any) -> None:
    """It would look as if there were no tokens."""
    with pytest.raises(ValueError, match="state must be None, or one of active, expired, revoked: "):
        host.run(tokens.tokens(host, state=state))


def test_token_is_revoked_once(host: TokenHost) -> None:
    """The second call returns False, and changes nothing."""
    issued = host.run(tokens.issue(host, "alice"))

    assert host.run(tokens.revoke(host, issued.id)) is True
    host.clock.now += 1
    assert host.run(tokens.revoke(host, issued.id)) is False
    assert not is_valid(host, issued.token)
    [token] = host.run(tokens.tokens(host))
    assert (token.revoked, token.revoked_by) == (1_000_000.0, None)


def test_actor_without_an_id_is_nobody(host: TokenHost) -> None:
    """The text ``None`` could be the id of somebody."""
    issued = host.run(tokens.issue(host, "alice"))
    with acting_as({"name": "a program"}):
        host.run(tokens.revoke(host, issued.id))

    assert host.run(tokens.get(host, issued.id)).revoked_by is None


@pytest.mark.parametrize(("actor_id", "noted"), [(7, "7"), ("\udc80", "\\udc80"), ("\0", "\0"), ({"a": 1}, "{'a': 1}")])
def test_any_actor_can_revoke(host: TokenHost, actor_id: object, noted: str) -> None:
    """The id of an actor need not be text that a database can store."""
    issued = host.run(tokens.issue(host, "alice"))
    with acting_as({"id": actor_id}):
        assert host.run(tokens.revoke(host, issued.id))

    assert host.run(tokens.get(host, issued.id)).revoked_by == noted


@pytest.mark.parametrize("label", [b"x", {"a": 1}, 7, "\udc80"])
def test_label_is_text(host: TokenHost, label: object) -> None:
    """A token with another label is not stored."""
    with pytest.raises(ValueError, match=r"label must be text|surrogates not allowed"):
        host.run(tokens.issue(host, "alice", label=label))  # type: ignore[arg-type]
    assert host.run(tokens.tokens(host)) == []


def test_all_tokens_of_an_actor_or_of_everybody_are_revoked(host: TokenHost) -> None:
    """The result is the number of those that were not revoked before."""
    alice, bob = [host.run(tokens.issue(host, actor)).token for actor in ("alice", "bob")]
    host.run(tokens.issue(host, "alice"))

    assert host.run(tokens.revoke_all(host, "alice")) == 2
    assert (is_valid(host, alice), is_valid(host, bob)) == (False, True)
    assert host.run(tokens.revoke_all(host)) == 1
    assert not is_valid(host, bob)


def test_restrictions_get_narrower_only(host: TokenHost) -> None:
    """A wider one is an error, and changes nothing."""
    issued = host.run(tokens.issue(host, "alice"))
    both = TokenRestrictions().allow_all("view-instance").allow_database("data", "insert-row")
    one = TokenRestrictions().allow_resource("data", "t", "insert-row")
    host.run(tokens.restrict(host, issued.id, both))
    host.run(tokens.restrict(host, issued.id, one))
    assert host.run(host.verify_token(issued.token))["_r"] == {"r": {"data": {"t": ["ir"]}}}  # type: ignore[index]

    for wider in (both, TokenRestrictions()):
        with pytest.raises(ValueError, match="can only get narrower"):
            host.run(tokens.restrict(host, issued.id, wider))
    assert host.run(host.verify_token(issued.token))["_r"] == {"r": {"data": {"t": ["ir"]}}}  # type: ignore[index]


def test_rotation_has_an_overlap(host: TokenHost) -> None:
    """The old secret ends some time after the first use of the new one, however late that is."""
    old = host.run(tokens.issue(host, "alice"))
    new = host.run(tokens.rotate(host, old.id, grace=60))
    assert new.id == old.id
    host.clock.now += MONTH - 100
    assert is_valid(host, old.token)
    assert is_valid(host, new.token)
    host.clock.now += 59
    assert is_valid(host, old.token)
    host.clock.now += 1
    assert not is_valid(host, old.token)
    assert is_valid(host, new.token)


def test_rotation_ends_in_any_case(host: TokenHost) -> None:
    """The old secret ends after 30 days, or after the time that is given, if the new one is never used."""
    old = host.run(tokens.issue(host, "alice"))
    host.run(tokens.rotate(host, old.id, grace=60))
    other = host.run(tokens.issue(host, "bob"))
    host.run(tokens.rotate(host, other.id, grace=60, latest=10))
    host.clock.now += 10
    assert is_valid(host, old.token)
    assert not is_valid(host, other.token)
    host.clock.now += MONTH - 10
    assert not is_valid(host, old.token)


def test_rotation_without_grace_cuts_at_once(host: TokenHost) -> None:
    """The old secret of a token that leaked is invalid at once, even if the clock is set back."""
    old = host.run(tokens.issue(host, "alice"))
    new = host.run(tokens.rotate(host, old.id, grace=0))

    assert (is_valid(host, old.token), is_valid(host, new.token)) == (False, True)
    host.clock.now -= 1_000
    assert (is_valid(host, old.token), is_valid(host, new.token)) == (False, True), "a clock that was set back"


def test_first_use_of_a_new_secret_has_an_effect_on_the_old_one_in_the_cache(tmp_path: Path) -> None:
    """The cache learns when the old secret ends: the grace of a rotation begins with that use."""
    with TokenHost(tmp_path / "tokens.db", token_cache_seconds=60) as host:
        old = host.run(tokens.issue(host, "alice"))
        host.run(host.verify_token(old.token))
        new = host.run(tokens.rotate(host, old.id, grace=5))
        host.run(host.verify_token(old.token))
        host.run(host.verify_token(new.token))
        host.clock.now += 5

        assert not is_valid(host, old.token)


@pytest.mark.parametrize(
    "change",
    [
        tokens.revoke,
        lambda host, token_id: tokens.revoke_all(host),
        lambda host, token_id: tokens.rotate(host, token_id, grace=0),
        lambda host, token_id: tokens.restrict(host, token_id, TokenRestrictions().allow_all("view-instance")),
    ],
    ids=["revoke", "revoke_all", "rotate", "restrict"],
)
def test_change_whose_caller_is_cancelled_has_an_effect_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Host, str], Coroutine[Any, Any, object]]
) -> None:
    """The write may be committed all the same, so the cache must not have the token as it was."""

    async def cancel_after_the_write(host: TokenHost, token_id: str) -> None:
        written, database = asyncio.Event(), host.handler.store._database
        write = database.execute_write_fn

        async def write_and_wait(*args: Any, **kwargs: Any) -> None:
            await write(*args, **kwargs)
            written.set()
            await asyncio.Event().wait()

        with monkeypatch.context() as patch:
            patch.setattr(database, "execute_write_fn", write_and_wait)
            task = asyncio.ensure_future(change(host, token_id))
            await written.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with TokenHost(tmp_path / "tokens.db", token_cache_seconds=60) as host:
        issued = host.run(tokens.issue(host, "alice"))
        actor = host.run(host.verify_token(issued.token))
        host.run(cancel_after_the_write(host, issued.id))

        assert not is_valid(host, issued.token) or host.run(host.verify_token(issued.token)) != actor


def test_times_of_the_secrets_of_a_token_can_be_read(host: TokenHost) -> None:
    """The newest is the first. Neither a secret nor its hash is there."""
    issued = host.run(tokens.issue(host, "alice"))
    host.clock.now += 1
    second = host.run(tokens.rotate(host, issued.id, grace=0))
    host.clock.now += 1
    host.run(tokens.rotate(host, issued.id, grace=60, latest=600))
    host.run(host.verify_token(second.token))

    found = host.run(tokens.secrets(host, issued.id))
    assert [(each.created - 1_000_000, each.first_used, each.ends) for each in found] == [
        (2, None, None),
        (1, 1_000_002, 1_000_602),
        (0, None, 0),
    ]
    assert {each.token.id for each in found} == {issued.id}
    assert second.token[18:61] not in repr(found)


def test_two_secrets_live_at_most(host: TokenHost) -> None:
    """A second rotation ends the first secret at once."""
    first = host.run(tokens.issue(host, "alice"))
    second = host.run(tokens.rotate(host, first.id, grace=60))
    third = host.run(tokens.rotate(host, first.id, grace=60))

    assert [is_valid(host, each.token) for each in (first, second, third)] == [False, True, True]


def test_first_use_of_a_secret_that_is_replaced_does_not_end_the_newest_one(host: TokenHost) -> None:
    """A second rotation may come before the first use of the secret of the first one."""
    first = host.run(tokens.issue(host, "alice"))
    second = host.run(tokens.rotate(host, first.id, grace=0))
    third = host.run(tokens.rotate(host, first.id, grace=60))
    assert is_valid(host, second.token)
    host.clock.now += 1

    assert [is_valid(host, each.token) for each in (first, second, third)] == [False, True, True]
    host.clock.now += 60
    assert [is_valid(host, each.token) for each in (second, third)] == [False, True]


def test_token_that_ended_is_not_rotated(host: TokenHost) -> None:
    """A rotation would bring the token to life again."""
    revoked = host.run(tokens.issue(host, "alice"))
    host.run(tokens.revoke(host, revoked.id))
    expired = host.run(tokens.issue(host, "alice", expires_after=1))
    host.clock.now += 2

    with pytest.raises(TokenRevoked):
        host.run(tokens.rotate(host, revoked.id, grace=60))
    with pytest.raises(TokenExpired):
        host.run(tokens.rotate(host, expired.id, grace=60))


def test_token_that_the_limit_of_the_host_ended_is_not_rotated(tmp_path: Path) -> None:
    """No verification would accept the new secret."""
    with TokenHost(tmp_path / "tokens.db", token_ttl=10) as host:
        issued = host.run(tokens.issue(host, "alice"))
        host.clock.now += 11

        with pytest.raises(TokenExpired):
            host.run(tokens.rotate(host, issued.id, grace=60))
        assert len(host.run(tokens.secrets(host, issued.id))) == 1


@pytest.mark.parametrize("times", [{"grace": -1}, {"grace": None}, {"grace": 0, "latest": 10**400}])
def test_times_of_a_rotation_are_checked(host: TokenHost, times: dict[str, int]) -> None:
    """The message names the argument."""
    issued = host.run(tokens.issue(host, "alice"))

    with pytest.raises(ValueError, match=next(reversed(times))):
        host.run(tokens.rotate(host, issued.id, **times))


@pytest.mark.parametrize("seconds", [0, 299, -1])
def test_idle_time_is_five_minutes_at_least(host: TokenHost, seconds: int) -> None:
    """Uses are written once a minute."""
    with pytest.raises(ValueError, match="unused_after must be None, or a whole number of seconds from 300 "):
        host.run(tokens.issue(host, "alice", unused_after=seconds))


def test_unknown_token_is_an_error(host: TokenHost) -> None:
    """The error is a `KeyError` with a plain message."""
    for operation in (
        tokens.revoke(host, "nope"),
        tokens.rotate(host, "nope", grace=0),
        tokens.restrict(host, "nope", TokenRestrictions()),
        tokens.secrets(host, "nope"),
    ):
        with pytest.raises(TokenNotFound, match=r"^there is no token with the id 'nope'"):
            host.run(operation)


def test_host_without_a_token_database_is_an_error() -> None:
    """The message names the settings."""
    with Host(Settings()) as host, pytest.raises(NoTokenDatabase, match="HELIOGRAPH_TOKEN_DATABASE"):
        host.call(tokens.issue, host, "alice")


def _verify_and_revoke(file: str, token: str, start: multiprocessing.synchronize.Barrier, results: object) -> None:  # type: ignore[name-defined]
    with TokenHost(file, token_cache_seconds=0) as host:
        claimed: list[bool] = []
        store = host.handler.store
        claim = store.claim_first_use

        async def observed(hash_: bytes, *, now: float) -> bool:
            claimed.append(await claim(hash_, now=now))
            return claimed[-1]

        store.claim_first_use = observed  # type: ignore[method-assign]
        start.wait(60)
        host.run(host.verify_token(token))
        start.wait(60)
        results.put((claimed.count(True), host.run(tokens.revoke(host, token[6:18]))))  # type: ignore[attr-defined]


def test_first_use_and_revocation_happen_once_among_processes(tmp_path: Path) -> None:
    """Four processes use a token, and then revoke it, at the same moment."""
    file = str(tmp_path / "tokens.db")
    with TokenHost(file) as host:
        token = host.run(tokens.issue(host, "alice")).token
    spawn = multiprocessing.get_context("spawn")
    start, results = spawn.Barrier(4), spawn.Queue()
    processes = [spawn.Process(target=_verify_and_revoke, args=(file, token, start, results)) for _ in range(4)]
    for process in processes:
        process.start()
    found = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)

    assert sorted(claims for claims, _ in found) == [0, 0, 0, 1]
    assert sorted(revoked for _, revoked in found) == [False, False, False, True]


def test_host_with_tokens_is_freed(tmp_path: Path) -> None:
    """Nothing of this module keeps it alive, nor the providers that it uses."""
    with TokenHost(tmp_path / "tokens.db") as host:
        assert host.run(tokens.issue(host, "ada")).token
    reference = weakref.ref(host)
    del host
    gc.collect()

    assert reference() is None
