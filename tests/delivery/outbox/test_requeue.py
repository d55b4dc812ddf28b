"""Dead letters are put back into the outbox as they were, and are orphans from then on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from heliograph.delivery.journal.batch import Entry
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.journal.writer import JournalWriter
from heliograph.delivery.outbox import requeue as requeue_module
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.outbox.requeue import requeue
from heliograph.delivery.sending.orphans import adopt
from heliograph.delivery.signals import LOGS
from heliograph.errors import OutboxFull


def with_letters(directory: Path, *resources: bytes, max_bytes: int = 10**9) -> OutboxDirectory:
    """Return an outbox with a dead letter of each resource."""
    box = OutboxDirectory(directory, max_bytes=max_bytes)
    for resource in resources:
        entry = Entry(0, Scope(scope=resource), resource)
        box.dead_letters.put(Header(resource=resource), entry, reason="bad_data", message="no")
    return box


def test_letters_of_each_resource_are_an_orphan(tmp_path: Path) -> None:
    box = with_letters(tmp_path, b"a", b"a", b"b")
    requeue(box, box.dead_letters.find())

    found = {}
    for orphan in adopt(box, LOGS):
        batch = orphan.reader.read(max_bytes=1000, max_records=10)
        assert batch is not None
        found[batch.header.resource] = [(entry.scope.scope, entry.encoded) for entry in batch.entries]
        orphan.release()
    assert found == {b"a": [(b"a", b"a")] * 2, b"b": [(b"b", b"b")]}
    assert box.dead_letters.count() == 0


def test_letters_are_on_the_disk_before_they_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the machine stops in between, the letters exist twice."""
    box = with_letters(tmp_path, b"a", b"a")
    left: list[int] = []

    class Recording(JournalWriter):
        def __init__(self, *arguments: Any, durable: bool, **options: Any) -> None:
            assert durable
            super().__init__(*arguments, durable=durable, **options)

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
    assert list(adopt(box, LOGS)) == []


def test_letters_stay_if_the_outbox_has_no_room_for_all_of_them(tmp_path: Path) -> None:
    """Nothing is changed: none of them is moved, and no folder remains. Once there is room, they are moved."""
    resources = [b"a" * 2000, b"b" * 2000, b"c" * 2000]
    used = with_letters(tmp_path, *resources).space.used()
    full = OutboxDirectory(tmp_path, max_bytes=used + 8000)
    with pytest.raises(OutboxFull, match="raise HELIOGRAPH_OUTBOX_MAX_BYTES"):
        requeue(full, full.dead_letters.find())
    assert full.dead_letters.count() == 3
    assert full.space.used() == used

    roomy = OutboxDirectory(tmp_path, max_bytes=used + 40_000)  # less than the first segment of a program
    requeue(roomy, roomy.dead_letters.find())
    assert roomy.dead_letters.count() == 0
    assert roomy.space.used() <= used + 40_000
    assert len([orphan.release() for orphan in adopt(roomy, LOGS)]) == 3


def test_nothing_is_requeued_in_a_full_outbox(tmp_path: Path) -> None:
    """To requeue no letters needs no room, and is no error."""
    requeue(with_letters(tmp_path, b"a", max_bytes=1), [])


@pytest.mark.parametrize("step", ["append", "commit"])
def test_letters_that_are_moved_in_part_are_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Letters whose move failed stay dead letters alone. Else they would be sent, and be requeued again."""
    box, calls = with_letters(tmp_path, b"a", b"a", b"b"), []
    real = getattr(JournalWriter, step)

    def fail(writer: JournalWriter, *arguments: Any) -> Any:
        calls.append(True)
        if len(calls) == (2 if step == "append" else 1):
            raise OSError("the disk fails")
        return real(writer, *arguments)

    monkeypatch.setattr(JournalWriter, step, fail)
    with pytest.raises(OSError, match="the disk fails"):
        requeue(box, box.dead_letters.find())

    assert box.dead_letters.count() == 3
    assert list(adopt(box, LOGS)) == []
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
