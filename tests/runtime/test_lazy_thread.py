"""A thread is started when there is work, also after an exception in the middle of its start, and never two at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from backends import wait_until
from heliograph.runtime.lazy_thread import LazyThread
from interrupts import raise_in_a_wait

LIMIT_SECONDS = 20

REAL_START = threading.Thread.start


class Work:
    """The function of a thread, which works until `release` is set."""

    def __init__(self) -> None:
        self.began = threading.Semaphore(0)
        self.release = threading.Event()
        self.calls = self.at_once = self.most_at_once = 0
        self.lazy = LazyThread(self.run, "lazy")

    def run(self) -> None:
        self.calls += 1
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        self.began.release()
        assert self.release.wait(LIMIT_SECONDS)
        self.at_once -= 1
        self.lazy.note_end()

    def wait_until_it_began(self) -> None:
        assert self.began.acquire(timeout=LIMIT_SECONDS)


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.lazy.end(work.release.set, LIMIT_SECONDS)
    assert work.most_at_once <= 1
    assert not work.lazy.is_running


@pytest.fixture
def replace_start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[threading.Thread], None]], None]]:
    """Replace the next start of a thread."""

    def replace(function: Callable[[threading.Thread], None]) -> None:
        def start(thread: threading.Thread) -> None:
            monkeypatch.setattr(threading.Thread, "start", REAL_START)
            function(thread)

        monkeypatch.setattr(threading.Thread, "start", start)

    yield replace
    monkeypatch.undo()


def test_thread_is_started_once_until_it_has_ended(work: Work) -> None:
    assert not work.lazy.is_running
    for _ in range(3):
        assert work.lazy.start()
    work.wait_until_it_began()
    assert work.lazy.is_running
    assert work.calls == 1

    work.lazy.end(work.release.set, LIMIT_SECONDS)
    assert not work.lazy.is_running
    work.release.clear()
    assert work.lazy.start()
    work.wait_until_it_began()
    assert work.calls == 2


def test_interrupt_before_the_real_start(work: Work, replace_start: Callable[..., None]) -> None:
    """No thread has the place, and the next start starts one."""

    def interrupted(_: threading.Thread) -> None:
        raise KeyboardInterrupt

    replace_start(interrupted)
    with pytest.raises(KeyboardInterrupt):
        work.lazy.start()
    assert not work.lazy.is_running

    assert work.lazy.start()
    work.wait_until_it_began()
    assert work.lazy.is_running


def test_interrupt_after_the_real_start(work: Work, replace_start: Callable[..., None]) -> None:
    """The thread runs, and the next start finds it running."""

    def interrupted(thread: threading.Thread) -> None:
        REAL_START(thread)
        raise KeyboardInterrupt

    replace_start(interrupted)
    with pytest.raises(KeyboardInterrupt):
        work.lazy.start()
    work.wait_until_it_began()

    assert work.lazy.start()
    assert work.calls == 1


def test_thread_that_runs_late_finds_another_one_in_its_place(work: Work, replace_start: Callable[..., None]) -> None:
    """An interrupt came after the system had been asked for the thread. It runs once another one was started."""
    late: list[threading.Thread] = []

    def interrupted(thread: threading.Thread) -> None:
        late.append(thread)
        raise KeyboardInterrupt

    replace_start(interrupted)
    with pytest.raises(KeyboardInterrupt):
        work.lazy.start()
    assert work.lazy.start()
    work.wait_until_it_began()
    late[0].start()
    late[0].join(LIMIT_SECONDS)

    assert not late[0].is_alive()
    assert work.calls == 1
    assert work.lazy.is_running


def test_handler_of_a_signal_starts_it_in_the_middle_of_a_start(work: Work, replace_start: Callable[..., None]) -> None:
    """The threads of both starts run, and one of them has the place."""

    def interrupted(thread: threading.Thread) -> None:
        assert work.lazy.start()
        REAL_START(thread)
        thread.join(0.01)

    replace_start(interrupted)
    assert work.lazy.start()
    work.wait_until_it_began()
    assert work.lazy.is_running
    assert work.lazy.start()


def test_thread_that_an_exception_has_ended_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    calls = []

    def fail() -> None:
        calls.append(True)
        raise MemoryError

    lazy = LazyThread(fail, "lazy")
    for number in (1, 2):
        assert lazy.start()
        lazy.end(lambda: None, LIMIT_SECONDS)
        assert not lazy.is_running
        assert len(calls) == number


def test_no_thread_can_be_started(work: Work, replace_start: Callable[..., None]) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    replace_start(fail)
    assert not work.lazy.start()
    assert not work.lazy.is_running

    assert work.lazy.start()
    work.wait_until_it_began()


def test_interrupt_that_arrives_as_an_error_of_a_lock(work: Work, replace_start: Callable[..., None]) -> None:
    """The program gets its own exception, and the thread works."""

    def start(thread: threading.Thread) -> None:
        REAL_START(thread)
        raise_in_a_wait(KeyboardInterrupt())

    replace_start(start)
    with pytest.raises(KeyboardInterrupt):
        work.lazy.start()

    work.wait_until_it_began()
    assert work.lazy.start()
    assert work.calls == 1


def test_end_without_a_thread_asks_nevertheless() -> None:
    asked = []
    LazyThread(lambda: None, "lazy").end(lambda: asked.append(True))
    assert asked


def test_thread_does_not_wait_for_its_own_end() -> None:
    ended = threading.Event()

    def function() -> None:
        lazy.end(lambda: None)
        ended.set()

    lazy = LazyThread(function, "lazy")
    lazy.start()
    assert ended.wait(LIMIT_SECONDS)
    lazy.end(lambda: None)


def test_threads_that_start_it_together_start_one(work: Work) -> None:
    together = threading.Barrier(8)

    def start() -> None:
        together.wait(LIMIT_SECONDS)
        assert work.lazy.start()

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_SECONDS)
    work.wait_until_it_began()

    assert work.calls == 1


def test_thread_that_returns_late_does_not_take_the_place_of_the_next_one() -> None:
    """A thread may give its place back while it still runs, and another thread be started since."""
    returned, ended = threading.Event(), threading.Event()
    calls = []

    def function() -> None:
        calls.append(threading.current_thread())
        if len(calls) > 1:
            assert ended.wait(LIMIT_SECONDS)
            return
        lazy.note_end()
        assert lazy.start()
        assert returned.wait(LIMIT_SECONDS)

    lazy = LazyThread(function, "lazy")
    assert lazy.start()
    wait_until(lambda: len(calls) == 2 or None)
    returned.set()
    calls[0].join(LIMIT_SECONDS)

    assert lazy.is_running
    assert lazy.start()
    assert len(calls) == 2
    lazy.end(ended.set, LIMIT_SECONDS)
    assert not lazy.is_running
