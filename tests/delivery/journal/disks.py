"""A disk whose syncs wait or fail as a test demands."""

from __future__ import annotations

import threading

from heliograph.delivery.journal.group_commit import GroupCommit, Sync


class Disk:
    """Syncs records, and waits or fails as a test demands.

    Attributes:
        last: The sequence of the newest record.
        synced: The sequences that the syncs so far covered, in their order.
        begun: The number of syncs that began.
        error: The exception that the next syncs raise, if any.
        ready: Set while syncs end at once.
        commit: The commits of the records.
    """

    def __init__(self) -> None:
        self.last = 0
        self.synced: list[int] = []
        self.begun = 0
        self.error: BaseException | None = None
        self.ready = threading.Event()
        self.ready.set()
        self.commit = GroupCommit(self.begin, synced=0)

    def begin(self) -> tuple[int, Sync]:
        last = self.last

        def sync() -> None:
            self.begun += 1
            assert self.ready.wait(60)
            if self.error is not None:
                raise self.error
            self.synced.append(last)

        return last, sync

    def append(self) -> int:
        self.last += 1
        return self.last
