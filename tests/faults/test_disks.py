"""Disks that are full, unmounted or read-only: records go to memory, are sent, and go to the disk again later."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from delivery.emitters import each_signal, ids
from delivery.servers import serving
from faults.matrix import Row
from heliograph.delivery.signals import OutboxSignal
from processes import program_environment
from threads import LIMIT_SECONDS

ON_TMPFS = """
import json, sys, time
from pathlib import Path
from delivery.emitters import emitting_to
from heliograph.delivery.signals import BY_NAME
from heliograph.semconv import OUTBOX_ACCEPTED, OUTBOX_REJECTED

ballast = Path(sys.argv[1]) / "ballast"
signal, endpoint, ballast_bytes = BY_NAME[sys.argv[2]], sys.argv[3], int(sys.argv[4])
with emitting_to(signal, Path(sys.argv[1]) / "box", endpoint, max_bytes=int(1_000_000 / signal.share)) as emit:
    for number in range(100):
        emit(f"room:{number}")
    ballast.write_bytes(b"x" * ballast_bytes)  # another program fills the disk
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


@each_signal
def test_full_disk(tmp_path: Path, record_fault: Callable[..., Row], signal: OutboxSignal) -> None:
    """A tmpfs of 2 MiB that another program fills: records go to memory, and to the disk again once it has room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    environment = program_environment()
    if not can_mount(disk):
        pytest.skip("this system does not allow mounting a tmpfs in a user namespace")
    with serving() as server:
        script = 'mount -t tmpfs -o size=2m none "$1" && exec "$2" -c "$3" "$1" "$4" "$5" 1900000'
        arguments = [str(disk), sys.executable, ON_TMPFS, signal.name, server.endpoint_of(signal.name)]
        command = ["unshare", "-rm", "sh", "-c", script, "sh", *arguments]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=180)
        assert ended.returncode == 0, ended.stderr
        accepted, rejected = json.loads(ended.stdout)
        assert (accepted, rejected) == (4201, 0)
        assert "kept in memory" in ended.stderr
        assert "can be written again" in ended.stderr
        names = {"room": 100, "full": 4000, "again": 100}
        acknowledged = [f"{name}:{number}" for name, count in names.items() for number in range(count)]
        record_fault(
            "a full disk (tmpfs of 2 MiB)",
            acknowledged=ids(signal, [*acknowledged, "last"]),
            received=server.accepted,
            signal=signal,
        )


def can_mount(directory: Path) -> bool:
    if shutil.which("unshare") is None:
        return False
    script = 'mount -t tmpfs -o size=2m none "$1"'
    command = ["unshare", "-rm", "sh", "-c", script, "sh", str(directory)]
    return subprocess.run(command, capture_output=True, check=False, timeout=LIMIT_SECONDS).returncode == 0


MOUNTING = """
import subprocess, sys
from pathlib import Path
from delivery.emitters import emitting_to
from heliograph.delivery.signals import BY_NAME

box, signal, endpoint, *commands = sys.argv[1:]
with emitting_to(BY_NAME[signal], Path(box), endpoint) as emit:
    for number in range(250):
        emit(f"before:{number}")
    for command in commands:
        subprocess.run(command, shell=True, check=True)
    for number in range(3000):  # more than fits into the segment that is open
        emit(f"at once:{number} " + "x" * 300)
    assert emit.processor.force_flush(60_000)
    for number in range(250):
        emit(f"after:{number}")
    assert emit.processor.force_flush(60_000)
"""
MOUNTS = {
    "the disk of the outbox is unmounted": ["umount --lazy {box}"],
    "the disk of the outbox is unmounted and mounted": ["umount --lazy {box}", "mount -t tmpfs -o size=8m none {box}"],
    # The files that are open are not on the new mount, which could not be made read-only then.
    "the disk of the outbox becomes read-only": ["mount --bind {box} {box}", "mount -o remount,bind,ro {box}"],
}


@each_signal
@pytest.mark.parametrize("fault", MOUNTS)
def test_disk_that_goes_away(
    tmp_path: Path, record_fault: Callable[..., Row], fault: str, signal: OutboxSignal
) -> None:
    """Records in memory and in open files are sent, and the program goes on."""
    box = tmp_path / "box"
    box.mkdir()
    if not can_mount(box):
        pytest.skip("this system does not allow mounting a tmpfs in a user namespace")
    with serving() as server:
        script = 'mount -t tmpfs -o size=8m none "$1" && exec "$2" -c "$3" "$1" "${@:4}"'
        arguments = [str(box), sys.executable, MOUNTING, signal.name, server.endpoint_of(signal.name)]
        command = ["unshare", "-rm", "bash", "-c", script, "bash", *arguments]
        command += [each.format(box=box) for each in MOUNTS[fault]]
        ended = subprocess.run(
            command, env=program_environment(), capture_output=True, text=True, check=False, timeout=180
        )
        assert ended.returncode == 0, ended.stderr
        assert ended.stderr.count("Traceback") <= 1
        names = [f"{when}:{number}" for when in ("before", "after") for number in range(250)]
        names += [f"at once:{number} " + "x" * 300 for number in range(3000)]
        record_fault(fault, acknowledged=ids(signal, names), received=server.accepted, signal=signal)
