"""Measure `HELIOGRAPH_OUTBOX_SYNC=full`: events that survive a power cut, from one thread, from eight, and from a hundred tasks.

Each section is a ratio of two measurements of one run, repeated in turns; the median counts. The goals leave room for a busy machine. The
directory is the argument (the default is that for temporary files; a ``tmpfs`` has no disk, and shows nothing).

The more time a sync takes, the more is gained by sharing it, and a disk whose own cache answers in 0.1 ms shows little: then an event costs
as much as a sync. So the second and the third section are measured twice: with the disk as it is, and with syncs that are prolonged to 1 ms
by sleeping, as they take on a common disk for servers. The goal of the second section holds for the disk as it is, that of the third for the
prolonged syncs.

1. *pauses*: the gaps of another thread that sleeps 0.2 ms each time, while a thread tracks durable events, compared with the gaps while it
   waits for as long without a sync.
2. *threads*: the events that eight threads track in a second, compared with one thread.
3. *tasks*: the events that a hundred tasks track with ``await host.track_event(…)``, compared with one `Host.track` each, and how late the
   event loop is meanwhile.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from parts.accepting import accepting
from parts.outboxes import outbox_provider

from heliograph import Event, Host, Settings, Signal
from heliograph.delivery.journal import segment

SECONDS = 1.0
ROUNDS = 5
SLEEP_SECONDS = 0.0002
THREADS = 8
TASKS = 100

MAX_PAUSES = 1.5
MIN_THREADS = 2.0
MIN_TASKS = 10.0
PROLONGED_SECONDS = 0.001
MAX_LATE_SECONDS = 0.002


@dataclass
class OrderShippedEvent(Event, namespace="shop"):
    """An order was shipped."""

    name = "order-shipped"
    order: int
    customer: str
    country: str
    parcels: int


EVENT = OrderShippedEvent(order=4711, customer="Ada", country="GB", parcels=3)


@contextmanager
def durable_host(directory: str, url: str) -> Iterator[Host]:
    """Yield a host whose outbox writes each record to the disk itself."""
    with outbox_provider(url, directory, durable=True) as provider:
        settings = Settings(signals=frozenset({Signal.LOG}))
        with Host(settings, events=[OrderShippedEvent], logger_provider=provider) as host:
            host.track(EVENT)
            yield host


@contextmanager
def prolonged_syncs() -> Iterator[None]:
    """Let each sync take `PROLONGED_SECONDS` at least, while the block runs."""
    sync_file = segment.sync_file

    def sync(descriptor: int) -> None:
        end = time.perf_counter() + PROLONGED_SECONDS
        sync_file(descriptor)
        time.sleep(max(0.0, end - time.perf_counter()))

    segment.sync_file = sync
    try:
        yield
    finally:
        segment.sync_file = sync_file


def sync_millis(host: Host) -> float:
    """Return the time of a durable event, which is that of a sync on most disks."""
    began = time.perf_counter()
    for _ in range(100):
        host.track(EVENT)
    return (time.perf_counter() - began) * 10


def gaps_during(work: Callable[[], object]) -> float:
    """Return the median time between two turns of a thread that sleeps, while another thread works, in seconds."""
    ended = threading.Event()

    def run() -> None:
        while not ended.is_set():
            work()

    thread = threading.Thread(target=run)
    thread.start()
    gaps, last = [], time.perf_counter()
    end = last + SECONDS
    while last < end:
        time.sleep(SLEEP_SECONDS)
        gaps.append(time.perf_counter() - last)
        last += gaps[-1]
    ended.set()
    thread.join()
    return statistics.median(gaps)


def rate_of(host: Host, threads: int) -> float:
    """Return the events that a number of threads track in a second."""
    counts = [0] * threads
    end = time.perf_counter() + SECONDS

    def run(number: int) -> None:
        while time.perf_counter() < end:
            host.track(EVENT)
            counts[number] += 1

    running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(counts) / SECONDS


async def rate_of_tasks(track: Callable[[], object], lateness: list[float]) -> float:
    """Return the events that tasks track in a second. Note how late the event loop runs a task that sleeps for a millisecond."""
    count, end = 0, time.perf_counter() + SECONDS

    async def run() -> None:
        nonlocal count
        while time.perf_counter() < end:
            result = track()
            await (result if asyncio.iscoroutine(result) else asyncio.sleep(0))
            count += 1

    async def watch() -> None:
        while time.perf_counter() < end:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            lateness.append(time.perf_counter() - began - 0.001)

    await asyncio.gather(watch(), *(run() for _ in range(TASKS)))
    return count / SECONDS


def pauses(host: Host) -> bool:
    """Compare the gaps of a thread with and without syncs of another one. Return False if the goal is missed."""
    sync_seconds = sync_millis(host) / 1000
    ratios = [
        gaps_during(lambda: host.track(EVENT)) / gaps_during(lambda: time.sleep(sync_seconds)) for _ in range(ROUNDS)
    ]
    ratio = statistics.median(ratios)
    print(
        f"pauses   another thread's median gap, with and without syncs: {ratio:5.2f} ×   (goal: at most {MAX_PAUSES})"
    )
    return ratio <= MAX_PAUSES


def threads(host: Host) -> bool:
    """Compare eight threads with one. Return False if the goal is missed."""
    ratio = statistics.median(rate_of(host, THREADS) / rate_of(host, 1) for _ in range(ROUNDS))
    print(
        f"threads  {THREADS} threads, compared with one:                          {ratio:5.2f} ×   (goal: at least {MIN_THREADS})"
    )
    return ratio >= MIN_THREADS


def tasks(host: Host) -> bool:
    """Compare tasks that await a sync with tasks that wait for one each. Return False if a goal is missed."""
    late: list[float] = []
    ratio = statistics.median(
        asyncio.run(rate_of_tasks(lambda: host.track_event(EVENT), late))
        / asyncio.run(rate_of_tasks(lambda: host.track(EVENT), []))
        for _ in range(ROUNDS)
    )
    lateness = statistics.median(late)
    print(
        f"tasks    {TASKS} tasks that await, compared with one sync each:      {ratio:5.2f} ×   (goal: at least {MIN_TASKS})"
    )
    print(
        f"         the event loop is late by (median)                   {lateness * 1e3:6.2f} ms  (goal: at most {MAX_LATE_SECONDS * 1e3:.0f})"
    )
    return ratio >= MIN_TASKS and lateness <= MAX_LATE_SECONDS


def main() -> int:
    """Print the figures. Return 1 if a goal was missed."""
    directory = sys.argv[1] if len(sys.argv) > 1 else tempfile.gettempdir()
    with accepting() as url, durable_host(directory, url) as host:
        print(f"a durable event takes {sync_millis(host):.2f} ms")
        reached = [pauses(host), threads(host)]
        tasks(host)
        with prolonged_syncs():
            print(
                f"a durable event takes {sync_millis(host):.2f} ms, since each sync is prolonged to {PROLONGED_SECONDS * 1e3:.0f} ms"
            )
            threads(host)
            reached.append(tasks(host))
    return int(not all(reached))


if __name__ == "__main__":
    sys.exit(main())
