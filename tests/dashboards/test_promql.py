"""Queries on metrics, evaluated by Prometheus' own engine."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from backends.prometheus import promtool
from heliograph.dashboards.promql import increase


@pytest.mark.parametrize(
    ("samples", "counted"),
    [
        ("7x120", 0),
        ("7x100 9x20", 2),
        ("_x100 5x20", 5),
        ("_x100 5x10 8x10", 8),
        ("_x100 3 stale", 3),
        ("5x50 stale", 0),
    ],
    ids=[
        "nothing new",
        "two more",
        "begins with five",
        "begins with five and gets more",
        "a program of a second",
        "ended before",
    ],
)
def test_increase_counts_the_first_value_of_a_counter(tmp_path: Path, samples: str, counted: int) -> None:
    """PromQL's own `increase` would miss what happened before the first sample. The time is from minute 90 to minute 120."""
    test = {
        "interval": "1m",
        "input_series": [{"series": 'x_total{reason="r", instance="a"}', "values": samples}],
        "promql_expr_test": [
            {
                "expr": f"round({increase('x_total', '30m', 'reason')}) > 0",
                "eval_time": "120m",
                "exp_samples": [{"labels": '{reason="r"}', "value": counted}] if counted else [],
            }
        ],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump({"tests": [test]}))

    ended = promtool("test", "rules", tmp_path / "test.yaml")

    assert ended.returncode == 0, ended.stdout + ended.stderr
