"""Dead letters are put back into the outbox as they were, and are orphans from then on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from heliograph.delivery import requeue as requeue_module
from heliograph.delivery.folders import OutboxDirectory
from heliograph.delivery.journal.batch import Entry
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.journal.writer import JournalWriter
from heliograph.delivery.orphans import adopt
from heliograph.delivery.requeue import requeue


def with_letters(directory: Path, *resources: bytes) -> OutboxDirectory:
    """Return an outbox with a dead letter of each resource."""
    box = OutboxDirectory(directory, max_bytes=10**9)
    for resource in resources:
        entry = Entry(0, Scope(scope=resource), resource)
        box.dead_letters.put(Header(resource=resource), entry, reason="bad_data", message="no")
    return box


def test_letters_of_each_resource_are_an_orphan(tmp_path: Path) -> None:
    box = with_letters(tmp_path, b"a", b"a", b"b")
    requeue(box, box.dead_letters.find())

    found = {}
    for orphan in adopt(box):
        batch = orphan.reader.read(max_bytes=1000, max_records=10)
        assert batch is not None
        found[batch.header.resource] = [(entry.scope.scope, entry.encoded) for entry in batch.entries]
        orphan.release()
    assert found == {b"a": [(b"a", b"a")] * 2, b"b": [(b"b", b"b")]}
    assert box.dead_letters.count() == 0


def test_letters_are_on_the_disk_before_they_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the machine stops in between, they exist twice."""
    box = with_letters(tmp_path, b"a", b"a")
    left: list[int] = []

    class Recording(JournalWriter):
        def __init__(self, *arguments: Any, durable: bool) -> None:
            assert durable
            super().__init__(*arguments, durable=durable)

        def close(self) -> None:
            super().close()
            left.append(box.dead_letters.count())

    monkeypatch.setattr(requeue_module, "JournalWriter", Recording)
    requeue(box, box.dead_letters.find())

    assert (left, box.dead_letters.count()) == ([2], 0)


def test_letters_stay_if_the_outbox_cannot_take_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    box = with_letters(tmp_path, b"a")
    monkeypatch.setattr(requeue_module, "JournalWriter", fail)
    with pytest.raises(OSError, match="full"):
        requeue(box, box.dead_letters.find())

    assert box.dead_letters.count() == 1
    assert list(adopt(box)) == []
