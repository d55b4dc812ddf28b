"""Outboxes that former releases have written: all in them is delivered, and what is written today has the same format.

Each archive has the bytes that a killed process of such a release wrote: seven records that were sent, of which one became a dead letter,
and ten that wait. They must not be generated again by a later release.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from delivery.outboxes import drain_to, folders_in, logging_to, run_outbox
from delivery.servers import OK, serving
from faults.matrix import Row
from heliograph.delivery.journal.cursor import read_cursor, write_cursor
from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.journal.segment import segments
from heliograph.delivery.journal.writer import JournalWriter
from heliograph.delivery.outbox.dead_letters import DeadLetters
from heliograph.delivery.outbox.folders import DEAD_LETTERS

ARCHIVES = Path(__file__).parent / "former_releases"
VERSION_1, BEFORE_SPANS = "journal_version_1", "before_spans"
ACKNOWLEDGED = 7
WAITING = [f"waits-{number}" for number in range(10)]

each_release = pytest.mark.parametrize("release", [VERSION_1, BEFORE_SPANS])


def unpack(release: str, box: Path) -> Path:
    """Create the outbox of a former release, and return its folder."""
    with zipfile.ZipFile(ARCHIVES / f"{release}.zip") as archive:
        for name in archive.namelist():
            (box / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            (box / name).write_bytes(archive.read(name))
            (box / name).chmod(0o600)
    box.chmod(0o700)
    [folder] = folders_in(box)
    return folder


def dead_letters(box: Path) -> list[str | None]:
    """Return the unique ids of the dead letters."""
    return [letter.uid for letter in DeadLetters(box / DEAD_LETTERS).find()]


@each_release
def test_drain_delivers_the_outbox_of_a_former_release(
    tmp_path: Path, record_fault: Callable[..., Row], release: str
) -> None:
    """Each waiting record arrives once. A dead letter stays, until it is put back."""
    box = tmp_path / "box"
    unpack(release, box)
    with serving() as server:
        drain_to(server, box)
        record_fault(
            f"an outbox of a former release ({release})", acknowledged=WAITING, received=server.accepted, failures=0
        )
        assert server.accepted == WAITING
        assert dead_letters(box) == ["poison"]

        assert run_outbox("dead", "requeue", "--all", "--directory", box).exit_code == 0
        assert drain_to(server, box).exit_code == 0
    assert server.accepted == [*WAITING, "poison"]
    assert folders_in(box) == []


@each_release
def test_process_delivers_the_outbox_of_a_former_release(tmp_path: Path, release: str) -> None:
    """A new dead letter is added to the file, which has other columns."""
    box = tmp_path / "box"
    unpack(release, box)

    with serving(lambda _, records: (413, {}, b"") if "too large" in records else OK) as server:
        with logging_to(box, server.endpoint) as emit:
            emit("own")
            emit.processor.force_flush(60_000)
            emit("too large")
            assert not emit.processor.force_flush(60_000)
            emit.processor.shutdown(60_000)

    assert sorted(server.accepted) == ["own", *WAITING]
    assert dead_letters(box) == ["poison", "too large"]
    assert folders_in(box) == []


def test_journals_of_log_records_stay_as_the_release_before_spans_reads_them(tmp_path: Path) -> None:
    """The same records make the same bytes, and the cursor has its bytes, too. Version 1 is read, and is not written any more."""
    folder = unpack(BEFORE_SPANS, tmp_path / "box")
    assert read_cursor(folder) == ACKNOWLEDGED
    [(_, former)] = segments(folder)
    former_cursor = (folder / "cursor").read_bytes()
    write_cursor(folder, 0)
    with closing(JournalReader(folder, is_live=False)) as reader:
        batch = reader.read(max_bytes=2**20, max_records=100)
    assert batch is not None

    today = tmp_path / "today"
    today.mkdir()
    with closing(JournalWriter(today, batch.header)) as writer:
        for entry in batch.entries:
            writer.append(entry.scope, entry.encoded)
        [(_, segment)] = segments(today)
        assert segment.read_bytes() == former.read_bytes()
    write_cursor(today, ACKNOWLEDGED)
    assert (today / "cursor").read_bytes() == former_cursor
