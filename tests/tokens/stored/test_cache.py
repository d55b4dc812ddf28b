"""Secrets are kept for some seconds, and never after a change."""

from __future__ import annotations

import threading

import pytest

from heliograph.tokens.stored import cache
from heliograph.tokens.stored.cache import SecretCache
from heliograph.tokens.stored.record import Secret, Token
from threads import join

SECRET = Secret(created=0.0, token=Token(id="id", actor_id="alice", created=0.0))


def test_secret_is_kept_for_its_time() -> None:
    """The time ends early if the clock was set back."""
    kept = SecretCache(5)
    kept.put(b"a", SECRET, 100.0, kept.generation)

    assert kept.get(b"a", 104.9) is SECRET
    assert kept.get(b"a", 105.0) is None
    assert kept.get(b"a", 99.0) is None
    assert kept.get(b"b", 100.0) is None


def test_nothing_is_kept_for_no_time() -> None:
    """A time of 0 switches the cache off."""
    kept = SecretCache(0)
    kept.put(b"a", SECRET, 100.0, kept.generation)

    assert kept.get(b"a", 100.0) is None


def test_secret_that_was_read_before_a_change_is_not_kept() -> None:
    """The change may have revoked the token."""
    kept = SecretCache(5)
    kept.put(b"a", SECRET, 100.0, kept.generation)
    before = kept.generation
    kept.forget()
    kept.put(b"b", SECRET, 100.0, before)

    assert kept.get(b"a", 100.0) is None
    assert kept.get(b"b", 100.0) is None


def test_oldest_secret_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that is found again counts as new."""
    monkeypatch.setattr(cache, "MAX_SECRETS", 2)
    kept = SecretCache(5)
    for hash_ in (b"a", b"b", b"a", b"c"):
        kept.put(hash_, SECRET, 100.0, kept.generation)

    assert [kept.get(hash_, 100.0) is not None for hash_ in (b"a", b"b", b"c")] == [True, False, True]


def test_update_replaces_only_what_it_was_made_from() -> None:
    """The entry of the cache does not last longer for an update."""
    kept, other = SecretCache(5), Secret(token=SECRET.token, created=0.0, first_used=1.0)
    kept.update(b"a", SECRET, other)
    assert kept.get(b"a", 100.0) is None

    kept.put(b"a", SECRET, 100.0, kept.generation)
    kept.update(b"a", other, other)
    assert kept.get(b"a", 100.0) is SECRET
    kept.update(b"a", SECRET, other)
    assert kept.get(b"a", 104.0) is other
    assert kept.get(b"a", 105.0) is None


def test_threads_keep_and_forget_at_the_same_time() -> None:
    """No call fails, and the size stays bounded."""
    kept = SecretCache(5)

    def work(name: int) -> None:
        for number in range(2000):
            kept.put(b"%d:%d" % (name, number), SECRET, 100.0, kept.generation)
            if number % 100 == 0:
                kept.forget()

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    join(*threads)

    assert len(kept._entries) <= cache.MAX_SECRETS
