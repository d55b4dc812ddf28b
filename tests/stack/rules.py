"""The rules of Prometheus, as data."""

from __future__ import annotations

from typing import Any

import yaml

from backends.program import CONFIG

RULES = CONFIG / "prometheus" / "rules.yaml"


def rules() -> list[dict[str, Any]]:
    """Return the recording and the alerting rules, in the order in which Prometheus evaluates them."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    """Return the alerting rules."""
    return [rule for rule in rules() if "alert" in rule]
