"""Disks that are full, and files that are not what was written."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from delivery.outboxes import drain, folders_in, logging_to
from delivery.servers import serving
from faults.matrix import Row
from heliograph.delivery.journal.segment import segments
from processes import program_environment

DAMAGES: dict[str, Callable[[bytearray], object]] = {
    "a flipped byte": lambda content: content.__setitem__(len(content) // 2, content[len(content) // 2] ^ 0x20),
    "a block of garbage": lambda content: content.__setitem__(slice(8000, 8512), b"\xa5" * 512),
    "a block of garbage put in between": lambda content: content.__setitem__(slice(8000, 8000), b"\xa5" * 512),
    "a torn tail": lambda content: content.__delitem__(slice(len(content) - 7, None)),
}


@pytest.fixture
def waiting(tmp_path: Path) -> list[str]:
    """The ids of records that a process left."""
    uids = [f"r{number}" for number in range(500)]
    with (
        serving(lambda number, records: (503, {}, b"")) as down,
        logging_to(tmp_path / "box", down.endpoint) as emit,
    ):
        for uid in uids:
            emit(uid)
    return uids


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage(tmp_path: Path, record_fault: Callable[..., Row], waiting: list[str], damage: str) -> None:
    """What is whole arrives; the records that were hit are counted, and their bytes kept."""
    [(_, path)] = segments(folders_in(tmp_path / "box")[0])
    content = bytearray(path.read_bytes())
    DAMAGES[damage](content)
    path.write_bytes(content)
    with serving() as server:
        drained = json.loads(drain(tmp_path / "box", server.endpoint, "--json").stdout)
        row = record_fault(damage, acknowledged=waiting, received=server.accepted, damaged=drained["damaged"])

    assert 1 <= row.damaged <= 10
    assert [file.stat().st_size for file in (tmp_path / "box" / "damaged").rglob("*.bin")]


@pytest.mark.parametrize("how", ["lost", "empty", "of another"])
def test_cursor(tmp_path: Path, record_fault: Callable[..., Row], waiting: list[str], how: str) -> None:
    """It costs a duplicate at most."""
    cursor = folders_in(tmp_path / "box")[0] / "cursor"
    if how != "lost":
        cursor.write_bytes(b"" if how == "empty" else b"HELIOCUR" + b"\xff" * 14)
    with serving() as server:
        assert drain(tmp_path / "box", server.endpoint).exit_code == 0
        record_fault(f"a cursor that is {how}", acknowledged=waiting, received=server.accepted)


ON_TMPFS = """
import json, sys, time
from pathlib import Path
from delivery.outboxes import logging_to
from heliograph.semconv import OUTBOX_ACCEPTED, OUTBOX_REJECTED

ballast = Path(sys.argv[1]) / "ballast"
with logging_to(Path(sys.argv[1]) / "box", sys.argv[2], max_bytes=1_000_000) as emit:
    for number in range(100):
        emit(f"room:{number}")
    ballast.write_bytes(b"x" * int(sys.argv[3]))  # somebody else fills the disk
    for number in range(4000):
        emit(f"full:{number}")
    assert emit.processor.force_flush(20_000)
    ballast.unlink()
    time.sleep(1.2)
    for number in range(100):
        emit(f"again:{number}")
    assert emit.processor.force_flush(20_000)
    emit("last")
    counts = emit.processor.counts
    print(json.dumps([counts.total(OUTBOX_ACCEPTED), counts.total(OUTBOX_REJECTED)]))
"""


def test_full_disk(tmp_path: Path, record_fault: Callable[..., Row]) -> None:
    """A tmpfs of 2 MiB that somebody else fills: memory takes over, and the disk again once it has room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    environment = program_environment()
    if not can_mount(disk):
        pytest.skip("this system lets nobody mount a tmpfs in a namespace of his own")
    with serving() as server:
        script = 'mount -t tmpfs -o size=2m none "$1" && exec "$2" -c "$3" "$1" "$4" 1900000'
        command = ["unshare", "-rm", "sh", "-c", script, "sh", str(disk), sys.executable, ON_TMPFS, server.endpoint]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
        assert ended.returncode == 0, ended.stderr
        accepted, rejected = json.loads(ended.stdout)
        assert (accepted, rejected) == (4201, 0)
        assert "kept in memory" in ended.stderr
        assert "can be written again" in ended.stderr
        names = {"room": 100, "full": 4000, "again": 100}
        acknowledged = [f"{name}:{number}" for name, count in names.items() for number in range(count)]
        record_fault("a disk that is full (tmpfs of 2 MiB)", acknowledged=acknowledged, received=server.accepted)


def can_mount(directory: Path) -> bool:
    if shutil.which("unshare") is None:
        return False
    script = 'mount -t tmpfs -o size=2m none "$1"'
    command = ["unshare", "-rm", "sh", "-c", script, "sh", str(directory)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
