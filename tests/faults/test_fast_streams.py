"""The stream of `benchmarks/receive.py` is stored completely. The pace is for the benchmark alone: this test may run on a busy machine."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from backends import REPOSITORY
from processes import clean_environment, run

SECONDS = "30" if os.environ.get("FAULTS") == "full" else "3"


def test_every_record_of_a_fast_stream_is_stored(tmp_path: Path) -> None:
    """Records in requests of 512, with their span events, and records that are sent singly are all stored."""
    ran = run(
        [sys.executable, str(REPOSITORY / "benchmarks" / "receive.py"), SECONDS],
        cwd=tmp_path,
        env=clean_environment(),
        timeout_seconds=800,
    )

    counts = re.findall(r"^(records|span events) stored +(\d+) of (\d+)$", ran.stdout, flags=re.MULTILINE)
    assert [what for what, _, _ in counts] == ["records", "span events"], ran.stdout + ran.stderr
    assert all(int(stored) == int(sent) >= 9_000 * int(SECONDS) for _, stored, sent in counts)
