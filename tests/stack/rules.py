"""The rules of Prometheus, as data."""

from __future__ import annotations

from typing import Any

import yaml

from backends.program import CONFIG

RULES = CONFIG / "prometheus" / "rules.yaml"


def rules() -> list[dict[str, Any]]:
    """Return the recording and the alerting rules, in the order in which Prometheus evaluates them."""
    return [rule for group in _groups() for rule in group["rules"]]


def rules_without_kafka() -> list[dict[str, Any]]:
    """Return the rules that have data in a stack without Kafka."""
    return [rule for group in _groups() if group["name"] != "kafka" for rule in group["rules"]]


def alerts(among: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    """Return the alerting rules, of all or of some."""
    return [rule for rule in (rules() if among is None else among) if "alert" in rule]


def _groups() -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
    return groups
