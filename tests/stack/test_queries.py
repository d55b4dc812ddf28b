"""The queries of alerts, rules and documents find data in the real backends, after the fault that they are for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from backends import wait_until
from stack.rules import alerts, rules
from stack.troubles import TroubledNode, troubled_node

SECONDS = 60.0


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TroubledNode]:
    with troubled_node(tmp_path_factory.mktemp("troubled")) as running:
        yield running


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_each_alert_is_caused_by_its_fault(troubled: TroubledNode, alert: dict[str, Any]) -> None:
    """An alert that waits for some minutes (`for`) is pending, and every other one fires."""
    assert troubled.alerts.get(alert["alert"]) == ("pending" if "for" in alert else "firing")


@pytest.mark.parametrize("name", sorted({rule["record"] for rule in rules() if "record" in rule}))
def test_each_recording_rule_records(troubled: TroubledNode, name: str) -> None:
    """The series exists. Dashboards may use it."""
    wait_until(lambda: troubled.node.prometheus.query_range(name, troubled.since), timeout_seconds=SECONDS)


def test_no_rule_fails(troubled: TroubledNode) -> None:
    """An expression with a valid syntax can still fail where it meets data."""
    assert troubled.node.prometheus.failing_rules() == {}


def test_samples_that_are_too_old_do_no_harm_to_others(troubled: TroubledNode) -> None:
    """Prometheus rejects the request that has them, and only that one."""
    found = troubled.node.prometheus.query("max_over_time(shop_orders_total[1d])")

    assert {dict(labels)["job"] for labels in found} == {"ended"}
