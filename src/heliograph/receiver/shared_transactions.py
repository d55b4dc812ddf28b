"""Store requests in groups: one transaction for all requests that arrived while the previous transaction was being written.

A transaction costs much more than the rows in it, and SQLite runs one at a time. So the threads of the servers make rows and wait, and
one thread writes.

Threads: any thread may call `SharedTransactions.keep`, which waits for the transaction with its rows. The thread `heliograph-store` writes.
`_changed` guards `_waiting` and `_is_closed`. Whoever removes an entry from `_waiting` decides about it: the writer stores it, and
a thread that has waited too long withdraws its own.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from typing import Final

from typing_extensions import Self

from heliograph.errors import FileFormatError
from heliograph.receiver.budget import Budget
from heliograph.receiver.contract import NotKept
from heliograph.receiver.object_count import count_items
from heliograph.receiver.rows import Tables, rows_of
from heliograph.receiver.signals import OtlpRequest
from heliograph.receiver.store import Store, StoreWriter

MAX_WAITING_BYTES: Final = 256 * 1024 * 1024
"""The memory of all requests that are being stored, with their rows. A larger request is stored while there is no other."""
ROW_BYTES: Final = 1024
"""An estimate of the memory that a row needs in addition to the texts in it."""
MAX_WAITING_SECONDS: Final = 3.0
"""The time that a request waits for the previous transaction. SQLite may then wait `BUSY_TIMEOUT_SECONDS` for another process."""


class _Entry:
    """The rows of one request. When the writer has finished, `done` is set, and `error` is the reason if they are not stored."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.done = threading.Event()
        self.error: Exception | None = None


class SharedTransactions:
    """Stores requests. Use it in a ``with`` block, at whose end everything that waits is stored.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[_Entry] = []
        self._memory = Budget(MAX_WAITING_BYTES, "too many requests are being stored")
        self._is_closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="heliograph-store", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Store everything that waits, and refuse later requests."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def keep(self, request: OtlpRequest) -> None:
        """Store a request, together with others, and return when it is stored. It is stored as a whole, or not at all.

        Raises:
            NotKept: It is not stored, because too many requests wait, or the file is locked, full or cannot be written.
        """
        with self._memory.reserved(request.ByteSize() + ROW_BYTES * count_items(request)):
            entry = self._enqueue(rows_of(request))
            if not entry.done.wait(MAX_WAITING_SECONDS) and self._withdraw(entry):
                raise NotKept("earlier requests are still being stored")
            # Without a limit: the writer is storing it, and only the outcome decides if the client must send it again.
            entry.done.wait()
        match entry.error:
            case None:
                return
            case sqlite3.OperationalError() | OSError() | FileFormatError():
                raise NotKept(f"the file cannot be written: {entry.error}") from entry.error
            case error:
                raise error

    def _enqueue(self, tables: Tables) -> _Entry:
        entry = _Entry(tables)
        with self._changed:
            if self._is_closed:
                raise NotKept("the receiver ends")
            self._waiting.append(entry)
            self._changed.notify()
        return entry

    def _withdraw(self, entry: _Entry) -> bool:
        """Remove an entry that waits. Return False if the writer is already storing it."""
        with self._changed:
            if entry not in self._waiting:
                return False
            self._waiting.remove(entry)
            return True

    def _run(self) -> None:
        writer = StoreWriter(self._store)
        try:
            while entries := self._next_entries():
                try:
                    _write(writer, entries)
                finally:
                    for entry in entries:
                        entry.done.set()
        finally:
            writer.close()

    def _next_entries(self) -> list[_Entry]:
        """Wait for entries, and return all of them; an empty list when this is closed and nothing waits."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            entries, self._waiting = self._waiting, []
            return entries


def _write(writer: StoreWriter, entries: Sequence[_Entry]) -> None:
    """Write entries in one transaction; if their rows cannot be stored, each in a transaction of its own."""
    try:
        writer.insert(*(entry.tables for entry in entries))
    except (sqlite3.OperationalError, OSError, FileFormatError) as error:
        # The file is the cause, not a row: a transaction for each entry would fail, too.
        for entry in entries:
            entry.error = error
    except Exception as error:
        if len(entries) == 1:
            entries[0].error = error
        else:
            for entry in entries:
                _write(writer, [entry])
