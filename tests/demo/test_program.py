"""The program of the demo runs without a receiver, too."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from forked import run
from heliograph.demo.program import POSTS, UNTIL_KILLED
from processes import clean_environment


def test_last_line_has_the_numbers_of_what_was_done(tmp_path: Path) -> None:
    """Nothing is exported here, so a flush has nothing to wait for. Its files are in a temporary folder."""
    ran = run(
        [sys.executable, "-m", "heliograph.demo.program"],
        cwd=tmp_path,
        env=clean_environment(OTEL_LOGS_EXPORTER="none", OTEL_TRACES_EXPORTER="none", OTEL_METRICS_EXPORTER="none"),
    )

    assert ran.returncode == 0, ran.stderr
    done = json.loads(ran.stdout.splitlines()[-1])
    assert len(done.pop("token")) == 12
    assert done == {
        "events": 9,
        "span_events": 1,
        "token_operations": 4,
        "invalid_events": 1,
        "token_events": 2,
        "token_rejections": 1,
        "flushed": True,
    }
    assert not list(tmp_path.iterdir())


def test_import_ends_with_its_standard_input(tmp_path: Path) -> None:
    """The demo kills the program before that. Without the demo, the end of the input ends it."""
    ran = run(
        [sys.executable, "-m", "heliograph.demo.program", UNTIL_KILLED],
        cwd=tmp_path,
        env=clean_environment(OTEL_LOGS_EXPORTER="none", OTEL_TRACES_EXPORTER="none", OTEL_METRICS_EXPORTER="none"),
    )

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == [str(POSTS)]
