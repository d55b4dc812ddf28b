"""Full disks and damaged files: intact records arrive, and damaged ones are counted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from delivery.losses import LOSSES
from delivery.outboxes import drain, folders_in, logging_to, wait_for
from delivery.servers import OK, serving
from faults.matrix import Row
from heliograph.delivery.journal.segment import segments
from processes import program_environment

DAMAGES: dict[str, Callable[[bytearray], object]] = {
    "a flipped byte": lambda content: content.__setitem__(len(content) // 2, content[len(content) // 2] ^ 0x20),
    "a block overwritten with garbage": lambda content: content.__setitem__(slice(8000, 8512), b"\xa5" * 512),
    "an inserted block of garbage": lambda content: content.__setitem__(slice(8000, 8000), b"\xa5" * 512),
    "a torn tail": lambda content: content.__delitem__(slice(len(content) - 7, None)),
}


@pytest.fixture
def waiting(tmp_path: Path) -> list[str]:
    """The ids of 500 records of a process that has ended, in the outbox `box`."""
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
    """Intact records arrive. Damaged ones are counted, and their bytes are kept in `damaged/`."""
    [(_, path)] = segments(folders_in(tmp_path / "box")[0])
    content = bytearray(path.read_bytes())
    DAMAGES[damage](content)
    path.write_bytes(content)
    with serving() as server:
        drained = json.loads(drain(tmp_path / "box", server.endpoint, "--json").stdout)
        row = record_fault(damage, acknowledged=waiting, received=server.accepted, damaged=drained["damaged"])

    assert 1 <= row.damaged <= 10
    assert [file.stat().st_size for file in (tmp_path / "box" / "damaged").rglob("*.bin")]


@pytest.mark.parametrize("fault", ["a lost cursor", "an empty cursor", "a cursor with a wrong checksum"])
def test_cursor(tmp_path: Path, record_fault: Callable[..., Row], waiting: list[str], fault: str) -> None:
    """A cursor that cannot be read costs duplicates, and no record."""
    cursor = folders_in(tmp_path / "box")[0] / "cursor"
    if fault != "a lost cursor":
        cursor.write_bytes(b"" if fault == "an empty cursor" else b"HELIOCUR" + b"\xff" * 14)
    with serving() as server:
        assert drain(tmp_path / "box", server.endpoint).exit_code == 0
        record_fault(fault, acknowledged=waiting, received=server.accepted)


@pytest.mark.parametrize("fault", LOSSES)
def test_loss_while_records_wait(tmp_path: Path, record_fault: Callable[..., Row], fault: str) -> None:
    """Records that wait are read from the open file, and later ones wait elsewhere or in memory."""
    uids = [f"r{number}" for number in range(500)]
    is_down = True
    with (
        serving(lambda number, records: (503, {}, b"") if is_down else OK) as server,
        logging_to(tmp_path / "box", server.endpoint) as emit,
    ):
        for uid in uids[:250]:
            emit(uid)
        LOSSES[fault](tmp_path / "box")
        for uid in uids[250:]:
            emit(uid)
        is_down = False
        assert emit.processor.force_flush(60_000)
        wait_for(lambda: emit.processor.depth == 0)
        # Dead letters cannot be read where the outbox was; a record among them would count as lost.
        record_fault(fault, acknowledged=uids, received=server.accepted, directory=tmp_path / "none")


ON_TMPFS = """
import json, sys, time
from pathlib import Path
from delivery.outboxes import logging_to
from heliograph.semconv import OUTBOX_ACCEPTED, OUTBOX_REJECTED

ballast = Path(sys.argv[1]) / "ballast"
with logging_to(Path(sys.argv[1]) / "box", sys.argv[2], max_bytes=1_000_000) as emit:
    for number in range(100):
        emit(f"room:{number}")
    ballast.write_bytes(b"x" * int(sys.argv[3]))  # another program fills the disk
    for number in range(4000):
        emit(f"full:{number}")
    assert emit.processor.force_flush(60_000)
    ballast.unlink()
    time.sleep(1.2)
    for number in range(100):
        emit(f"again:{number}")
    assert emit.processor.force_flush(60_000)
    emit("last")
    counts = emit.processor.counts
    print(json.dumps([counts.total(OUTBOX_ACCEPTED), counts.total(OUTBOX_REJECTED)]))
"""


def test_full_disk(tmp_path: Path, record_fault: Callable[..., Row]) -> None:
    """A tmpfs of 2 MiB that another program fills: records go to memory, and to the disk again once it has room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    environment = program_environment()
    if not can_mount(disk):
        pytest.skip("this system does not allow mounting a tmpfs in a user namespace")
    with serving() as server:
        script = 'mount -t tmpfs -o size=2m none "$1" && exec "$2" -c "$3" "$1" "$4" 1900000'
        command = ["unshare", "-rm", "sh", "-c", script, "sh", str(disk), sys.executable, ON_TMPFS, server.endpoint]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=180)
        assert ended.returncode == 0, ended.stderr
        accepted, rejected = json.loads(ended.stdout)
        assert (accepted, rejected) == (4201, 0)
        assert "kept in memory" in ended.stderr
        assert "can be written again" in ended.stderr
        names = {"room": 100, "full": 4000, "again": 100}
        acknowledged = [f"{name}:{number}" for name, count in names.items() for number in range(count)]
        record_fault("a full disk (tmpfs of 2 MiB)", acknowledged=acknowledged, received=server.accepted)


def can_mount(directory: Path) -> bool:
    if shutil.which("unshare") is None:
        return False
    script = 'mount -t tmpfs -o size=2m none "$1"'
    command = ["unshare", "-rm", "sh", "-c", script, "sh", str(directory)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
