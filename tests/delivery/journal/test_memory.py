"""The journal in memory. The contract that it shares with the one on disk is in `test_sources`."""

from __future__ import annotations

import pytest

from delivery.journal.journals import HEADER, SCOPE_A
from heliograph.delivery.journal import memory
from heliograph.delivery.journal.memory import MemoryJournal


def test_full_journal_accepts_no_record_until_some_are_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_BYTES", 100)
    journal = MemoryJournal(HEADER)

    assert journal.append(SCOPE_A, b"x" * 60)
    assert journal.append(SCOPE_A, b"x" * 40)
    assert not journal.append(SCOPE_A, b"x")
    assert (len(journal), journal.last_sequence) == (2, 2)

    journal.acknowledge(1)

    assert journal.append(SCOPE_A, b"x" * 60)
    assert not journal.append(SCOPE_A, b"x")
    assert (len(journal), journal.last_sequence) == (2, 3)


def test_handler_of_a_signal_may_append(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is reentrant: the handler runs on the thread that it interrupted."""
    journal = MemoryJournal(HEADER)

    with journal._lock:
        assert journal.append(SCOPE_A, b"from the handler")

    assert len(journal) == 1
