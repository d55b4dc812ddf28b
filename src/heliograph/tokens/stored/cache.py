"""A bounded cache of tokens that were found a short time ago."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from heliograph.runtime.fork import after_fork_in_child
from heliograph.tokens.stored.record import Secret

MAX_SECRETS: Final = 10_000
"""The largest number of secrets that are kept. When there are more, the oldest ones are dropped."""


class SecretCache:
    """Keeps secrets by their hash for some seconds. Any thread may use it.

    Only secrets that exist are kept: an attacker could fill the cache with unknown ones. `_lock` guards every change; `get` reads without it.

    Args:
        seconds: The time for which an entry is used; 0 keeps nothing.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._reset()
        after_fork_in_child(self._reset)

    def _reset(self) -> None:
        # Reentrant: a signal handler may verify a token in the middle of a call of its own thread.
        self._lock = threading.RLock()
        self._entries: dict[bytes, tuple[float, Secret]] = {}
        self._generation = 0

    @property
    def generation(self) -> int:
        """A number that changes with each `forget`. Read it before the database, and pass it to `put`."""
        return self._generation

    def get(self, hash_: bytes, now: float) -> Secret | None:
        """Return the secret with this hash, if it was found a short time ago."""
        entry = self._entries.get(hash_)
        if entry is None:
            return None
        read_at, secret = entry
        # A clock that was set back must not make an entry last longer.
        return secret if 0 <= now - read_at < self._seconds else None

    def put(self, hash_: bytes, secret: Secret, now: float, generation: int) -> None:
        """Keep a secret, unless something was forgotten since its generation: it may have been read before a revocation."""
        with self._lock:
            if not self._seconds or generation != self._generation:
                return
            # A dict keeps the order of insertion: removed first, so that the newest entry is the last.
            self._entries.pop(hash_, None)
            self._entries[hash_] = (now, secret)
            while len(self._entries) > MAX_SECRETS:
                del self._entries[next(iter(self._entries))]

    def update(self, hash_: bytes, old: Secret, new: Secret) -> None:
        """Replace a secret by a newer reading of it, if it is still kept. It is not kept for longer than before."""
        with self._lock:
            entry = self._entries.get(hash_)
            if entry is not None and entry[1] is old:
                self._entries[hash_] = (entry[0], new)

    @contextmanager
    def forget_after(self) -> Iterator[None]:
        """Forget everything after the block, which changes tokens in the database."""
        try:
            yield
        finally:
            # Also after a cancellation: the write may be committed all the same.
            self.forget()

    def forget(self) -> None:
        """Forget everything, because a token was changed."""
        with self._lock:
            self._generation += 1
            self._entries.clear()
