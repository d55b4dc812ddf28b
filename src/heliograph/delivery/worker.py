"""The thread that sends: what this process writes, and what processes left that are gone."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from opentelemetry.context import attach, set_value

from heliograph.delivery.folders import OutboxDirectory
from heliograph.delivery.orphans import Orphan, adopt
from heliograph.delivery.sender import Outcome, Sender
from heliograph.delivery.storage import ResourceStorage
from heliograph.runtime.deadline import Deadline
from heliograph.semconv import SCOPE
from heliograph.telemetry.otel_api import SUPPRESS_INSTRUMENTATION

MAX_OPEN_ORPHANS: Final = 16

_POLL_SECONDS: Final = 0.2
_ADOPT_SECONDS: Final = 10.0
_LEAST_JOIN_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 1.0

logger: Final = logging.getLogger(SCOPE)


class Worker:
    """Sends journals, until it is closed.

    Args:
        outbox: Where orphans are.
        sender: What sends.
        journals: Gives the journals that this process writes, as they are now.

    Attributes:
        orphans: What it has to send besides the journals.
    """

    def __init__(
        self, outbox: OutboxDirectory, sender: Sender, journals: Callable[[], Iterable[ResourceStorage]]
    ) -> None:
        self._outbox = outbox
        self._sender = sender
        self._journals = journals
        self._wake = threading.Event()
        self._changed = threading.Condition()
        self.orphans: list[Orphan] = []
        self._has_more = True
        self._unreadable: set[Path] = set()
        self._thread = threading.Thread(target=self._run, name="heliograph-outbox", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look for something to send now, rather than soon."""
        self._wake.set()

    def wait_for(self, is_done: Callable[[], bool], deadline: Deadline) -> bool:
        """Wait, as something is sent, until it is done; whether that was in time."""
        with self._changed:
            while not is_done():
                if not deadline.remaining():
                    return False
                self._changed.wait(deadline.remaining() / 1000)
        return True

    def send_orphans(self, deadline: Deadline) -> None:
        """Give what other processes left the rest of the time, as long as the server takes it."""
        self.wait_for(lambda: not (self.orphans or self._has_more) or not self._sender.is_ready(), deadline)

    def close(self, deadline: Deadline) -> bool:
        """End, and cancel the request that is under way; whether the thread has ended, and touches no journal any more."""
        self._sender.close()
        self._wake.set()
        self._thread.join(max(_LEAST_JOIN_SECONDS, deadline.remaining() / 1000))
        return not self._thread.is_alive()

    def abandon(self) -> None:
        """Let go of files in the child of a fork, where the thread is not."""
        for orphan in self.orphans:
            orphan.release()  # the lock is the parent's still

    def _run(self) -> None:
        # A request of ours is no span, which would be sent by another request.
        attach(set_value(SUPPRESS_INSTRUMENTATION, True))
        adopt_at = 0.0
        while not self._sender.closed.is_set():
            try:
                if time.monotonic() >= adopt_at:
                    self._unreadable.clear()
                    self._adopt()
                    adopt_at = time.monotonic() + _ADOPT_SECONDS
                self._send_journals()
                self._send_orphans()
                while self._has_more and not self.orphans:
                    self._adopt()
                    self._send_orphans()
            except Exception:  # whatever a disk does, what is in the outbox is tried again
                logger.exception("The outbox could not be sent.")
                self._sender.closed.wait(_PAUSE_SECONDS)
            self._tell_change()
            self._wake.wait(max(_POLL_SECONDS, self._sender.waiting_seconds()))
            self._wake.clear()
        orphans, self.orphans = self.orphans, []
        for each in orphans:
            each.release()

    def _adopt(self) -> None:
        """Each has open files, of which the program may have few: some are sent before the next are taken."""
        found = itertools.islice(adopt(self._outbox, self._unreadable), MAX_OPEN_ORPHANS - len(self.orphans))
        self.orphans = [*self.orphans, *found]
        self._has_more = len(self.orphans) == MAX_OPEN_ORPHANS

    def _send_orphans(self) -> None:
        ended = [each for each in self.orphans if each.drain(self._sender, self._send_journals)]
        self._unreadable.update(each.folder for each in ended if not each.is_sent)
        self.orphans = [each for each in self.orphans if each not in ended]

    def _send_journals(self) -> None:
        for journal in self._journals():
            for source in journal.sources():
                while self._sender.send_next(source) is Outcome.SENT:
                    self._tell_change()

    def _tell_change(self) -> None:
        with self._changed:
            self._changed.notify_all()
