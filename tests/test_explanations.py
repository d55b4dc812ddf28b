"""The pages that explain are true: what they count, name and quote is what the code has."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from heliograph import semconv
from heliograph.settings import FIELDS, variable_name

DOCS = Path(__file__).resolve().parent.parent / "docs"
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
