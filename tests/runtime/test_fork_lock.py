"""A lock that is held by no other thread while the process forks."""

from __future__ import annotations

import gc
import os
import threading
import weakref

import pytest

from heliograph.runtime import fork
from heliograph.runtime.fork_lock import ForkLock
from threads import join

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


class Forks:
    """Calls what is registered for a fork, without a fork."""

    def __init__(self) -> None:
        self.before, self.after_in_parent, self.after_in_child = fork._Methods(), fork._Methods(), fork._Methods()

    def in_parent(self) -> None:
        self.before.call_last_first()
        self.after_in_parent.call_in_order()

    def in_child(self) -> None:
        self.before.call_last_first()
        self.after_in_child.call_in_order()


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> Forks:
    """Forks of locks that are created after this, and of nothing else."""
    simulated = Forks()
    for name in ("before", "after_in_parent", "after_in_child"):
        monkeypatch.setattr(fork, f"_{name}", getattr(simulated, name))
    monkeypatch.setattr("heliograph.runtime.fork_lock.FORK_TIMEOUT_SECONDS", 0.1)
    return simulated


def is_free(lock: ForkLock) -> bool:
    """Return True if another thread can acquire the lock now."""
    acquired: list[bool] = []

    def acquire() -> None:
        acquired.append(lock._lock.acquire(blocking=False))
        if acquired[0]:
            lock._lock.release()

    thread = threading.Thread(target=acquire)
    thread.start()
    join(thread)
    return acquired[0]


def test_lock_is_free_after_a_fork(forks: Forks) -> None:
    lock = ForkLock()
    forks.in_parent()
    assert is_free(lock)
    forks.in_child()
    assert is_free(lock)


def test_lock_that_the_forking_thread_holds_is_still_held_after_the_fork(forks: Forks) -> None:
    lock = ForkLock()
    for after in (forks.in_parent, forks.in_child):
        with lock:
            after()
            assert not is_free(lock)
        assert is_free(lock)


def test_lock_of_a_fork_is_released_by_its_own_thread_alone(forks: Forks) -> None:
    """Another thread forks meanwhile, and does not get the lock in time."""
    lock = ForkLock()
    forks.before.call_last_first()
    failures: list[BaseException] = []

    def fork_too() -> None:
        try:
            forks.in_parent()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=fork_too)
    thread.start()
    join(thread)

    assert failures == []
    assert not is_free(lock)
    forks.after_in_parent.call_in_order()
    assert is_free(lock)


def test_fork_does_not_wait_for_ever_and_the_child_gets_a_new_lock(forks: Forks) -> None:
    lock = ForkLock()
    forks.in_parent()  # an earlier fork, which got the lock, has no effect on this one
    held, may_end = threading.Event(), threading.Event()

    def hold(of_parent: threading.RLock) -> None:
        with of_parent:
            held.set()
            may_end.wait()

    thread = threading.Thread(target=hold, args=(lock._lock,))
    thread.start()
    assert held.wait(10)
    try:
        forks.in_parent()
        assert not is_free(lock)  # it is still the other thread's
        forks.in_child()
        assert is_free(lock)
    finally:
        may_end.set()
        join(thread)


def test_lock_is_not_kept_alive_by_the_fork_handlers(forks: Forks) -> None:
    """The handlers of a lock that is gone do nothing."""
    lock = weakref.ref(ForkLock())
    gc.collect()

    assert lock() is None
    forks.in_child()
