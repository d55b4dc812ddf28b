"""Event loops await commits; one sync serves all that came before it began, and the loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from backends import wait_until
from delivery.journal.disks import Disk
from heliograph.delivery.journal.awaited_commits import AwaitedCommits
from heliograph.delivery.journal.group_commit import NotSyncedError
from threads import no_more_threads


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def awaited(disk: Disk) -> Iterator[AwaitedCommits]:
    commits = AwaitedCommits(disk.commit)
    yield commits
    disk.ready.set()
    commits.close()


@asynccontextmanager
async def busy(disk: Disk, awaited: AwaitedCommits) -> AsyncIterator[asyncio.Future[NotSyncedError | None]]:
    """Let a sync be under way while the block runs."""
    disk.ready.clear()
    first = asyncio.ensure_future(awaited.begin(disk.append()))  # type: ignore[arg-type]
    await asyncio.to_thread(wait_until, lambda: disk.begun or None)
    yield first
    disk.ready.set()


@pytest.mark.anyio
async def test_tasks_share_a_sync(disk: Disk, awaited: AwaitedCommits) -> None:
    """A hundred that begin during a sync need one more."""
    async with busy(disk, awaited) as first:
        others = [awaited.begin(disk.append()) for _ in range(100)]
        await asyncio.sleep(0)
        assert not first.done()

    assert await asyncio.gather(first, *others) == [None] * 101
    assert disk.synced == [1, 101]


@pytest.mark.anyio
async def test_tasks_are_woken_a_few_at_a_time(disk: Disk, awaited: AwaitedCommits) -> None:
    """Other tasks of the event loop have their turn in between."""
    woken: list[int] = []

    async def wait(number: int) -> None:
        await awaited.begin(disk.append())
        woken.append(number)

    async with busy(disk, awaited):
        tasks = [asyncio.ensure_future(wait(number)) for number in range(100)]
        await asyncio.sleep(0)
    counts = {0}
    while len(woken) < len(tasks):
        counts.add(len(woken))
        await asyncio.sleep(0)

    assert woken == list(range(100))
    assert len(counts) >= 4


@pytest.mark.anyio
async def test_tasks_share_syncs_with_threads(disk: Disk, awaited: AwaitedCommits) -> None:
    with ThreadPoolExecutor(1) as pool:
        async with busy(disk, awaited) as first:
            other = awaited.begin(disk.append())
            thread = pool.submit(disk.commit.wait, disk.append())
            await asyncio.to_thread(wait_until, lambda: disk.commit._changed._waiters or None)
        assert [await first, await other, thread.result()] == [None] * 3

    assert disk.synced == [1, 3]


@pytest.mark.anyio
async def test_failure_is_reported_to_all_who_share_the_sync(disk: Disk, awaited: AwaitedCommits) -> None:
    """The syncs before and after the one that failed report no failure."""
    async with busy(disk, awaited) as first:
        others = [awaited.begin(disk.append()) for _ in range(3)]
    assert await first is None
    assert await asyncio.gather(*others) == [None] * 3
    disk.error = OSError(errno.EIO, "the disk fails")
    failures = await asyncio.gather(*[awaited.begin(disk.append()) for _ in range(3)])
    disk.error = None

    assert {str(failure) for failure in failures} == {"[Errno 5] the disk fails"}
    assert await awaited.begin(disk.append()) is None


@pytest.mark.anyio
async def test_cancelled_task_disturbs_no_other(disk: Disk, awaited: AwaitedCommits) -> None:
    async with busy(disk, awaited) as first:
        cancelled, other = (asyncio.ensure_future(awaited.begin(disk.append())) for _ in range(2))  # type: ignore[arg-type]
        cancelled.cancel()
    assert [await first, await other] == [None, None]

    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert disk.synced == [1, 3]


def test_loops_in_several_threads_await(disk: Disk, awaited: AwaitedCommits) -> None:
    """One that is closed before the sync has ended disturbs no other."""
    disk.ready.clear()

    async def leave() -> None:
        awaited.begin(disk.append())

    async def wait() -> object:
        return await awaited.begin(disk.append())

    asyncio.run(leave())
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(asyncio.run, wait()) for _ in range(2)]
        disk.ready.set()
        assert [each.result() for each in waiting] == [None, None]


@pytest.mark.anyio
async def test_closed_journal_has_no_thread(disk: Disk, awaited: AwaitedCommits) -> None:
    """Commits that began before its end are awaited, and so are those that begin later."""
    async with busy(disk, awaited) as first:
        other = awaited.begin(disk.append())
        awaited.end()
    awaited.close()
    assert [await first, await other, await awaited.begin(2)] == [None, None, None]

    assert not any(thread.name == "heliograph-commit" for thread in threading.enumerate())


@pytest.mark.anyio
async def test_caller_waits_itself_if_no_thread_can_be_started(disk: Disk, awaited: AwaitedCommits) -> None:
    with no_more_threads():
        assert await awaited.begin(disk.append()) is None
    assert disk.synced == [1]
    assert await awaited.begin(disk.append()) is None


@pytest.mark.anyio
async def test_no_task_waits_for_ever_if_a_sync_ends_in_an_unknown_way(disk: Disk, awaited: AwaitedCommits) -> None:
    """Nothing is known of its records, so they count as not synced. The thread goes on."""
    disk.error = MemoryError("none left")
    failure = await awaited.begin(disk.append())
    disk.error = None

    assert str(failure) == "[Errno 5] none left"
    assert await awaited.begin(disk.append()) is None
