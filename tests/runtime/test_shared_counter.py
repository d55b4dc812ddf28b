"""A counter without a lock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from heliograph.runtime.shared_counter import SharedCounter


def test_threads_lose_no_count() -> None:
    counter = SharedCounter()
    assert counter.value == 0

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: [counter.add() for _ in range(5_000)], range(4)))

    assert counter.value == 20_000
    assert counter.value == 20_000, "reading it changes nothing"
