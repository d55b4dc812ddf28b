"""Damaged, renamed and missing files of processes that have ended: intact records arrive, and damaged ones are counted."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from delivery.emitters import emitting_to
from delivery.outboxes import drain_to, folders_in
from delivery.servers import serving
from faults.matrix import Row
from heliograph.delivery.journal.cursor import write_cursor
from heliograph.delivery.journal.frames import HEAD_BYTES
from heliograph.delivery.journal.segment import SegmentReader, segments
from heliograph.delivery.signals import SIGNALS, OutboxSignal

DAMAGES: dict[str, Callable[[bytearray], object]] = {
    "a flipped byte": lambda content: content.__setitem__(len(content) // 2, content[len(content) // 2] ^ 0x20),
    "a block overwritten with garbage": lambda content: content.__setitem__(slice(8000, 8512), b"\xa5" * 512),
    "an inserted block of garbage": lambda content: content.__setitem__(slice(8000, 8000), b"\xa5" * 512),
    "a torn tail": lambda content: content.__delitem__(slice(len(content) - 7, None)),
}


def leave(signal: OutboxSignal, box: Path, count: int, size: int = 0) -> list[str]:
    """Let records of a process that has ended wait in an outbox, and return their ids."""
    with serving(lambda number, records: (503, {}, b"")) as down:
        with emitting_to(signal, box, down.endpoint_of(signal.name)) as emit:
            return [emit(f"r{number}", size=size) for number in range(count)]


@pytest.fixture(params=SIGNALS, ids=[f"{signal.word}s" for signal in SIGNALS])
def signal(request: pytest.FixtureRequest) -> OutboxSignal:
    """The signal of the records that wait."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def waiting(tmp_path: Path, signal: OutboxSignal) -> list[str]:
    """The ids of 500 records of a process that has ended, in the outbox `box`. They are in one segment."""
    return leave(signal, tmp_path / "box", 500)


@pytest.fixture
def long_waiting(tmp_path: Path, signal: OutboxSignal) -> list[str]:
    """The ids of 1,000 records of a process that has ended, in the outbox `box`. They are in three segments."""
    acknowledged = leave(signal, tmp_path / "box", 1000, size=900)
    assert len(segments(folders_in(tmp_path / "box")[0])) == 3
    return acknowledged


@pytest.fixture
def record_damage(record_fault: Callable[..., Row], signal: OutboxSignal) -> Callable[..., Row]:
    """Returns `record_fault` for the records that wait. None of them has been sent before, so none may arrive twice."""
    return partial(record_fault, signal=signal, failures=0)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage(tmp_path: Path, record_damage: Callable[..., Row], waiting: list[str], damage: str) -> None:
    """Intact records arrive. Damaged ones are counted, and their bytes are kept in `damaged/`."""
    [(_, path)] = segments(folders_in(tmp_path / "box")[0])
    content = bytearray(path.read_bytes())
    DAMAGES[damage](content)
    path.write_bytes(content)
    with serving() as server:
        drained = json.loads(drain_to(server, tmp_path / "box", "--json").stdout)
        row = record_damage(damage, acknowledged=waiting, received=server.accepted, damaged=drained["damaged"])

    assert 1 <= row.damaged <= 10
    assert [file.stat().st_size for file in (tmp_path / "box" / "damaged").rglob("*.bin")]


@pytest.mark.parametrize("fault", ["a lost cursor", "an empty cursor", "a cursor with a wrong checksum"])
def test_cursor(tmp_path: Path, record_damage: Callable[..., Row], waiting: list[str], fault: str) -> None:
    """A cursor that cannot be read costs duplicates, and no record."""
    cursor = folders_in(tmp_path / "box")[0] / "cursor"
    if fault != "a lost cursor":
        cursor.write_bytes(b"" if fault == "an empty cursor" else b"HELIOCUR" + b"\xff" * 14)
    with serving() as server:
        assert drain_to(server, tmp_path / "box").exit_code == 0
        record_damage(fault, acknowledged=waiting, received=server.accepted)


def overwrite(path: Path, start: int, length: int) -> None:
    """Damage bytes of a file."""
    content = bytearray(path.read_bytes())
    content[start : start + length] = bytes(each ^ 0x20 for each in content[start : start + length])
    path.write_bytes(content)


def first_frame(path: Path) -> int:
    """Return the position of the first frame of a segment: the definition of a scope."""
    with contextlib.closing(SegmentReader(1, path)) as segment:
        return segment.position


def flip_in_header(folder: Path) -> None:
    overwrite(segments(folder)[0][1], 20, 1)


def overwrite_both_headers(folder: Path) -> None:
    path = segments(folder)[1][1]
    overwrite(path, 0, first_frame(path))


def flip_in_scope(folder: Path) -> None:
    path = segments(folder)[1][1]
    overwrite(path, first_frame(path) + HEAD_BYTES + 2, 1)


def swap_segments(folder: Path) -> None:
    (_, one), (_, other), _ = segments(folder)
    one.rename(folder / "other")
    other.rename(one)
    (folder / "other").rename(other)


def rename_segment(folder: Path) -> None:
    segments(folder)[1][1].rename(folder / f"{10**19}.journal")


def advance_cursor(folder: Path) -> None:
    write_cursor(folder, 10**9)


def delete_lock(folder: Path) -> None:
    (folder / "lock").unlink()


HARMLESS: dict[str, Callable[[Path], None]] = {
    "a flipped byte in a header": flip_in_header,
    "a header and its copy overwritten": overwrite_both_headers,
    "a flipped byte in the definition of a scope": flip_in_scope,
    "two segments with each other's name": swap_segments,
    "a segment with an absurd name": rename_segment,
    "a cursor beyond the newest record": advance_cursor,
    "a folder without a lock file": delete_lock,
}


@pytest.mark.parametrize("fault", HARMLESS)
def test_harmless_damage(
    tmp_path: Path, record_damage: Callable[..., Row], long_waiting: list[str], fault: str
) -> None:
    """All records arrive, because the damaged part has a copy or is not needed. Nothing waits after it."""
    [folder] = folders_in(tmp_path / "box")
    HARMLESS[fault](folder)
    with serving() as server:
        drained = json.loads(drain_to(server, tmp_path / "box", "--json").stdout)
        record_damage(fault, acknowledged=long_waiting, received=server.accepted)
    assert drained["damaged"] == 0
    assert set(server.resources) == {"tests"}
    assert not any(b"heliograph.outbox" in body for body in server.raw)
    assert not folder.exists()


def test_only_definition_of_a_scope(tmp_path: Path, record_damage: Callable[..., Row], waiting: list[str]) -> None:
    """The records arrive under a scope of ours, and are counted as damaged."""
    [(_, path)] = segments(folders_in(tmp_path / "box")[0])
    overwrite(path, first_frame(path) + HEAD_BYTES + 2, 1)
    with serving() as server:
        drained = json.loads(drain_to(server, tmp_path / "box", "--json").stdout)
        record_damage("the only definition of a scope damaged", acknowledged=waiting, received=server.accepted)
    assert drained["damaged"] == len(waiting)
    assert all(b"heliograph.outbox" in body for body in server.raw)


def test_folder_that_cannot_be_removed(tmp_path: Path, record_damage: Callable[..., Row], waiting: list[str]) -> None:
    """The records of the folder are sent once, however often the outbox is drained, and the folder is reported."""
    box = tmp_path / "box"
    (folders_in(box)[0] / "00000000000000000999.journal").mkdir()
    with serving() as server:
        drained = [drain_to(server, box) for _ in range(2)]
        row = record_damage("a folder that cannot be removed", acknowledged=waiting, received=server.accepted)
    assert row.duplicates == 0
    assert [each.exit_code for each in drained] == [1, 1]
