"""The file system of a directory decides whether a memory map is safe."""

from __future__ import annotations

from pathlib import Path

import pytest

from heliograph.delivery.journal import filesystems
from heliograph.delivery.journal.filesystems import filesystem_of, keeps_reserved_space

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:25 / /srv rw - btrfs /dev/sdb rw
31 22 0:26 / /srv/fast rw master:2 - xfs /dev/sdc rw
32 22 0:27 / /mnt/with\\040space rw - nfs4 server:/x rw
33 22 0:28 / /over rw - ext4 /dev/sdd rw
34 33 0:29 / /over rw - overlay overlay rw
"""


@pytest.mark.parametrize(
    ("directory", "kind", "is_safe"),
    [
        ("/var/outbox", "ext4", True),
        ("/srv/outbox", "btrfs", False),
        ("/srv/fast/outbox", "xfs", True),
        ("/srv/faster", "btrfs", False),
        ("/mnt/with space/outbox", "nfs4", False),
        ("/over/outbox", "overlay", False),
    ],
)
def test_innermost_mount_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, directory: str, kind: str, is_safe: bool
) -> None:
    """Of two mounts at one place, the later one covers the other."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    monkeypatch.setattr(filesystems, "_MOUNTS", mounts)

    assert (filesystem_of(Path(directory)), keeps_reserved_space(Path(directory))) == (kind, is_safe)


def test_system_without_a_list_of_mounts_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory map could kill the process there."""
    monkeypatch.setattr(filesystems, "_MOUNTS", tmp_path / "missing")

    assert not keeps_reserved_space(tmp_path)
