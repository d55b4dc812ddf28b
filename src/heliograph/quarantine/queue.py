"""Put invalid events into the quarantine in a thread, so that a program that tracks one does not wait for a transaction of SQLite.

`QuarantineQueue.put` appends the event to a file of this process (`heliograph.quarantine.spool`), and returns. From then on, the event
survives the death of the process. (A power cut may lose the newest, which are not in the quarantine yet.) The thread
``heliograph-quarantine`` collects events for a tenth of a second, and then moves them in one transaction, in their order.

- *Flush* moves the events that wait, in the thread that flushes. `Host.flush` and `Host.shutdown` do so.
- *Full*: if 16 MiB wait, the next thread that puts an event moves them itself.
- *Failure*: if the quarantine cannot be written (it is full, locked, another program's file, or broken in any other way), the events that
  wait stay in the file of the process, and are tried again each second. `put` raises meanwhile, so that later events are emitted.
- *Death*: the events of a process that has died are moved by the next process that puts an event into the same quarantine, or reads
  it (`Quarantine.find`, which also waits up to two seconds for a living process to move its events). If a process died while it moved
  them, some are moved twice, and are kept once, because of their unique ids.
- *Fork*: the child has a file and a thread of its own. The events that wait belong to the parent.
- On a system without locks of files (Windows), `put` waits for the transaction.

Threads: any thread calls `put`, and so does a signal handler in the middle of another call of its own thread. It gets a
`BlockingIOError` there, and its event is emitted. The handler may also raise, at any step. Any thread calls `flush` and `close`. The thread is
started by `put`, and ends after a second without events, so a program that has none has no thread.

- `_moving` is held by the thread that moves lines, for as long as a transaction takes. `_mover` is the id of that thread, by
  which `put` knows that it is called in the middle of a move. The lock is reentrant: a signal handler may run between the two steps.
- `_lock` guards the spool, and the step from "nothing waits" to the end of the thread, for a few microseconds. `_user` is the id of the
  thread that holds it: the lock itself would let a handler in. It may be taken while `_moving` is held, never the other way round.
- `_failure` is the text of the last failure, and empty after a success. The thread that has tried to move lines replaces it, and `put` reads
  it without a lock: an event that is put meanwhile may be accepted although the quarantine has just failed, or refused although it has just
  recovered.
- `_is_ending` is True from `close` on, until `put` starts another thread. Only the thread of the queue acts on it, at its next step, and
  `_end_bell` wakes that thread while it collects events. A ring that finds no thread shortens the first wait of the next one.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from typing_extensions import ParamSpec

from heliograph.classes import qualified_name
from heliograph.quarantine.record import InvalidRecord
from heliograph.quarantine.spool import IS_POSSIBLE, Spool
from heliograph.quarantine.store import Quarantine, to_line
from heliograph.runtime.bell import Bell
from heliograph.runtime.deadline import run_within
from heliograph.runtime.fork import after_fork_in_child
from heliograph.runtime.lazy_thread import LazyThread
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE

MAX_BYTES: Final = 16 * 2**20
"""The largest size of the events that wait, in bytes. A single larger event is accepted."""

_COLLECT_SECONDS: Final = 0.1
_LINGER_SECONDS: Final = 1.0
"""The time without events after which the thread ends, and after which it tries again what has failed."""

P = ParamSpec("P")
T = TypeVar("T")

logger: Final = SafeLogger(SCOPE)


class QuarantineQueue:
    """Puts invalid events into a quarantine, in a thread.

    Args:
        quarantine: The quarantine.
    """

    def __init__(self, quarantine: Quarantine) -> None:
        self._quarantine = quarantine
        self._log = LimitedLog(logger)
        self._spool: Spool | None = None
        self._reset()
        after_fork_in_child(self._restart_in_child)

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._moving = threading.RLock()
        self._bell = Bell()
        self._thread = LazyThread(self._run, "heliograph-quarantine")
        self._is_ending = False
        self._end_bell = Bell()
        self._user = self._mover = 0
        self._failure = ""

    def _restart_in_child(self) -> None:
        if self._spool is not None:
            self._spool.close()
            self._spool = None
        self._reset()

    def put(self, record: InvalidRecord) -> None:
        """Set an event aside. When this returns, it survives the death of the process.

        Raises:
            OSError: It cannot be set aside: the disk or the quarantine cannot be written, or the caller is a signal handler
                that interrupted this very method.
        """
        if not IS_POSSIBLE:
            self._quarantine.put(record)
            return
        if self._failure:
            self._exclusively(self._start_thread)  # it tries again
            raise OSError(errno.EIO, f"the quarantine cannot be written ({self._failure})")
        line = to_line(record)
        while not self._exclusively(self._append, line):
            if self._mover == threading.get_ident() or not self._try_to_move():
                raise OSError(errno.ENOSPC, "too many events wait for the quarantine")
        self._bell.ring()

    def flush(self, timeout_millis: float) -> bool:
        """Put all events that wait into the quarantine. Return False if that takes longer, or fails."""
        if self._is_empty():
            return True
        return run_within(timeout_millis, self._try_to_move) is True

    def close(self, timeout_millis: float) -> bool:
        """Flush, and end the thread. The next event starts another one."""
        is_empty = self.flush(timeout_millis)
        self._thread.end(self._ask_to_end, timeout_millis / 1000)
        return is_empty

    def _ask_to_end(self) -> None:
        self._is_ending = True
        self._end_bell.ring()
        self._bell.ring()

    def _is_empty(self) -> bool:
        with self._lock:
            return self._spool is None or not self._spool.size

    def _exclusively(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function with `_lock` held.

        Raises:
            BlockingIOError: The caller is a signal handler, whose own thread holds the lock.
        """
        user = threading.get_ident()
        if self._user == user:
            raise BlockingIOError(errno.EAGAIN, "a signal handler interrupted its own thread")
        with self._lock:
            try:
                self._user = user
                return function(*args, **kwargs)
            finally:
                self._user = 0

    def _append(self, line: bytes) -> bool:
        """Append a line, and start the thread. Return False if too many wait."""
        if self._spool is None:
            self._spool = Spool.create(self._quarantine.path)
        size = self._spool.size
        if size and size + len(line) > MAX_BYTES:
            return False
        self._spool.append(line)
        self._start_thread()
        return True

    def _start_thread(self) -> None:
        if not self._thread.is_running:
            self._is_ending = False
            # If no thread can be started, another process moves the line.
            self._thread.start()

    def _run(self) -> None:
        self._failure_of(self._quarantine.take_orphans)
        may_end = False
        while not (may_end and self._exclusively(self._end)):
            is_rung = self._bell.wait(_LINGER_SECONDS)
            if is_rung:
                self._end_bell.wait(_COLLECT_SECONDS)
            self._try_to_move()
            may_end = self._is_ending or not is_rung

    def _end(self) -> bool:
        """Let the thread end if nothing waits. What cannot be moved stays in the file after `close`."""
        if not self._is_empty() and not (self._is_ending and self._failure):
            return False
        spool = self._spool
        if spool is not None and not spool.size:
            # This comes first, so that an interrupt does not keep a closed spool.
            self._spool = None
            spool.delete()
        self._thread.note_end()
        return True

    def _try_to_move(self) -> bool:
        """Move the lines that wait. Log a failure, and return False."""
        self._failure = self._failure_of(self._move)
        return not self._failure

    def _failure_of(self, move: Callable[[], object]) -> str:
        """Call a function. Log its exception, and return it as text; an empty text if there is none."""
        try:
            move()
        except Exception as error:
            message = "Invalid events cannot be put into the quarantine, and wait beside it: %s"
            self._log.log(qualified_name(error), message, error)
            return f"{qualified_name(error)}: {error}"
        return ""

    def _move(self) -> None:
        with self._moving:
            try:
                self._mover = threading.get_ident()
                lines, size = self._exclusively(self._read)
                self._quarantine.put_lines(lines)
                self._exclusively(self._note_moved, size)
            finally:
                self._mover = 0

    def _read(self) -> tuple[list[bytes], int]:
        return ([], 0) if self._spool is None else (self._spool.read(), self._spool.size)

    def _note_moved(self, size: int) -> None:
        # It is still the spool that was read, because a spool with lines is not replaced.
        if self._spool is not None and size:
            self._spool.note_moved(size)
