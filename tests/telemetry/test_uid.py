"""Unique ids are UUIDv7, unique among threads and processes, and sort by time."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.telemetry.uid import UidGenerator
from threads import LIMIT_SECONDS

NOON = 1_700_000_000_000_000_000


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_uid_is_a_uuid_of_version_7_with_its_time(moment: int) -> None:
    """The first 48 bits are milliseconds. Version and variant are those of RFC 9562."""
    uid = UidGenerator()(moment)
    parsed = uuid.UUID(uid)

    assert uid == str(parsed)
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122
    assert parsed.int >> 80 == moment // 1_000_000


def test_uids_sort_by_time_and_within_one_millisecond_by_creation() -> None:
    """The order of the texts is the order of time, also when the low bits of the counter overflow."""
    new_uid = UidGenerator()
    uids = [new_uid(NOON) for _ in range(40_000)] + [new_uid(NOON + 1_000_000), new_uid(NOON + 65_536_000_000)]

    assert uids == sorted(uids)
    assert len(set(uids)) == len(uids)


def test_uid_of_an_earlier_time_sorts_earlier() -> None:
    """An event that is tracked late is sorted by its own time."""
    new_uid = UidGenerator()
    late = new_uid(NOON)

    assert new_uid(NOON - 1_000_000) < late < new_uid(NOON + 1_000_000)


def test_uids_are_unique_among_threads() -> None:
    """No two threads get the same id for the same time."""
    new_uid = UidGenerator()

    with ThreadPoolExecutor(4) as threads:
        uids = [uid for part in threads.map(lambda _: [new_uid(NOON) for _ in range(20_000)], range(4)) for uid in part]

    assert len(set(uids)) == 80_000


def test_two_generators_make_different_uids() -> None:
    """Each has its own random bits, so that two hosts or two processes never make the same id."""
    assert UidGenerator()(NOON) != UidGenerator()(NOON)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_forked_child_makes_other_uids_than_its_parent() -> None:
    """The child inherits the counter of its parent, and draws random bits of its own."""
    program = (
        "import os\n"
        "from heliograph.telemetry.uid import UidGenerator\n"
        "new_uid = UidGenerator()\n"
        "new_uid(7)\n"
        "pid = os.fork()\n"
        "os.write(1, new_uid(7).encode() + b' ')\n"  # one write, which the other process cannot interleave
        "if not pid: os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
    )

    output = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=LIMIT_SECONDS
    ).stdout

    parent, child = output.split()
    assert parent != child
    assert parent[:23] == child[:23], "both made the second id of the same millisecond"
