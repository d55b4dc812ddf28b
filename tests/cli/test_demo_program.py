"""The program of the demo runs without a receiver, too."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from processes import clean_environment
from processes import run as run_process


def test_last_line_has_the_numbers_of_what_was_sent(tmp_path: Path) -> None:
    """Nothing is exported here, so a flush has nothing to wait for."""
    ran = run_process(
        [sys.executable, "-m", "heliograph.cli.demo_program"],
        cwd=tmp_path,
        env=clean_environment(OTEL_LOGS_EXPORTER="none", OTEL_TRACES_EXPORTER="none", OTEL_METRICS_EXPORTER="none"),
    )

    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1]) == {
        "events": 7,
        "span_events": 5,
        "token_spans": 5,
        "flushed": True,
    }
