"""The dashboard *Delivery* agrees with the alerts and with the reasons that metrics have."""

from __future__ import annotations

import json
import re

import pytest

from dashboards.everything import BACKENDS
from dashboards.panel_queries import panels_of
from heliograph.dashboards.delivery import LONG_WAIT_SECONDS, MANY_WAITING, delivery_dashboard
from heliograph.delivery.metrics import DROPPED_OLDEST, MEMORY_FULL, OUTBOX_FULL, SHUT_DOWN
from heliograph.delivery.transport.verdict import DEAD_REASONS, RETRY_REASONS, Reason
from stack.rules import alerts

DESCRIPTIONS = {
    panel["title"]: panel["description"] for panel in panels_of(json.loads(delivery_dashboard(BACKENDS["own"])))
}
EXPRESSIONS = {alert["alert"]: alert["expr"] for alert in alerts()}


@pytest.mark.parametrize(
    ("alert", "limit"),
    [("OutboxGrows", MANY_WAITING), ("CollectorQueueGrows", MANY_WAITING), ("OutboxAges", LONG_WAIT_SECONDS)],
)
def test_limits_are_those_of_the_alerts(alert: str, limit: int) -> None:
    """A panel is red where its alert begins."""
    assert re.search(rf"> {limit}\b", EXPRESSIONS[alert])


def test_alerts_that_panels_name_exist() -> None:
    """A reader finds each alert that a panel names among the rules."""
    named = {word for text in DESCRIPTIONS.values() for word in re.findall(r"alert (\w+)", text)}

    assert named
    assert named <= set(EXPRESSIONS)


def test_every_reason_is_explained() -> None:
    """All reasons of dead letters and of lost events are explained, and the usual ones of retries."""
    words = {title: set(re.findall(r"`(\w+)`", text)) for title, text in DESCRIPTIONS.items()}

    assert words["Dead letters by reason"] == {reason.value for reason in DEAD_REASONS}
    assert words["Lost events by reason"] == {
        OUTBOX_FULL,
        MEMORY_FULL,
        SHUT_DOWN,
        DROPPED_OLDEST,
        Reason.PARTIAL_SUCCESS.value,
    }
    assert words["Retries by reason"] <= {reason.value for reason in RETRY_REASONS}
