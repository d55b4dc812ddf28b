"""The pages that explain are true: what they count, name and quote is what the code has."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from heliograph import semconv
from heliograph.settings import FIELDS, variable_name
from heliograph.version import __version__

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
CONSTRAINTS = (ROOT / "constraints" / "newest.txt").read_text(encoding="utf-8")
AUDIT = (DOCS / "audit.md").read_text(encoding="utf-8")


def test_verdicts_of_the_page_on_audit() -> None:
    """Each point has one of three verdicts, and the summary has their numbers."""
    rows = [line for line in AUDIT.splitlines() if line.startswith("| ") and not line.startswith("| the proposal")]
    verdicts = Counter(line.rstrip(" |").rpartition("| ")[2] for line in rows)

    assert set(verdicts) == {"met", "in part", "not"}
    summary = f"{verdicts['met']} are met, {verdicts['in part']} in part, and {verdicts['not']} not"
    assert summary in AUDIT


def test_names_of_the_page_on_audit_exist() -> None:
    """The metrics, attributes and variables that it names are those of heliograph."""
    names = {str(value) for value in vars(semconv).values() if isinstance(value, semconv.Name)}
    metrics = re.findall(r"`(heliograph\.outbox\.[a-z.]+)`", AUDIT)
    short = re.findall(r"`\.(\w+)`", AUDIT)
    variables = set(re.findall(r"HELIOGRAPH_\w+", AUDIT))

    assert len(metrics) >= 2
    assert {*metrics, *(f"heliograph.outbox.{name}" for name in short)} <= names
    assert {"log.record.uid", "user.id", "heliograph.token.result", "heliograph.event.version"} <= names
    assert variables <= {variable_name(name) for name in FIELDS}


COMPARISONS = (DOCS / "comparisons.md").read_text(encoding="utf-8")


def test_versions_of_the_page_of_comparisons() -> None:
    """The versions of peers are those that the benchmarks install, and our own is the current one."""
    rows = re.findall(r"^\| \[?([\w -]+)(?:\]\(#[\w-]+\))? \| ([\w.]+) \|", COMPARISONS, flags=re.MULTILINE)
    versions = {name.replace("_", "-"): version for name, version in rows}
    pinned = dict(re.findall(r"^([\w-]+)==([\w.]+)", CONSTRAINTS, flags=re.MULTILINE))

    assert len(versions) == 8
    assert versions["heliograph"] == __version__
    assert versions["OpenTelemetry alone"] == pinned["opentelemetry-sdk"]
    for peer in ("logfire", "structlog", "jupyter-events", "datasette-events-db"):
        assert versions[peer] == pinned[peer]


def test_each_peer_is_compared_in_both_directions() -> None:
    """Each section says what the peer does better, what heliograph does better, and when to take which."""
    sections = COMPARISONS.split("\n## ")[1:]

    assert len(sections) == 7
    for section in sections:
        assert [*re.findall(r"^- \*\*(It does better|heliograph does better|Take)\b", section, flags=re.MULTILINE)] == [
            "It does better",
            "heliograph does better",
            "Take",
        ]
