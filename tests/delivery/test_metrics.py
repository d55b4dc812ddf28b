"""What became of records is told as metrics, for all outboxes of a process together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from delivery.outboxes import logging_to, outbox_with_every_outcome
from delivery.servers import serving
from heliograph.delivery.metrics import OutboxCounters
from heliograph.semconv import OUTBOX_DEAD, OUTBOX_DELIVERED
from processes import in_child
from recorder import Telemetry


def points(telemetry: Telemetry) -> dict[str, dict[str, Any]]:
    """The outbox's metrics, by name without prefix and by reason."""
    return {
        name.removeprefix("heliograph.outbox."): {
            str((point.attributes or {}).get("heliograph.outbox.reason", "")): point.value
            for point in metric.data.data_points
        }
        for name, metric in telemetry.metrics().items()
        if name.startswith("heliograph.outbox.")
    }


def test_everything_that_happens_is_counted(tmp_path: Path, telemetry: Telemetry) -> None:
    """With its reason, and still after the end of the outbox; gauges end with it."""
    with outbox_with_every_outcome(tmp_path, telemetry.meter_provider):
        found = points(telemetry)
        size = found.pop("size")
    ended = points(telemetry)

    counters = {
        "accepted": {"": 3},
        "delivered": {"": 3},
        "rejected": {"partial_success": 1},
        "retried": {"unavailable": 1},
        "dead": {"bad_data": 1},
        "damaged": {"": 1},
    }
    assert found == {**counters, "depth": {"": 0}, "oldest.age": {"": 0}}
    assert size[""] > 0
    assert ended == counters


def test_what_waits_is_measured(tmp_path: Path, telemetry: Telemetry) -> None:
    """Also what another process left; two outboxes are told of together."""
    with serving(lambda number, records: (503, {}, b"")) as down:
        with logging_to(tmp_path / "a", down.endpoint) as emit:
            emit("left")
        with (
            logging_to(tmp_path / "a", down.endpoint, meter_provider=telemetry.meter_provider) as first,
            logging_to(tmp_path / "b", down.endpoint, meter_provider=telemetry.meter_provider) as second,
        ):
            first("one")
            second("two")
            second("three")
            for emit in (first, second):
                assert not emit.processor.force_flush(600)
            found = points(telemetry)

    assert found["accepted"] == {"": 3}
    assert found["depth"] == {"": 4}
    assert 0.5 < found["oldest.age"][""] < 60
    assert found["size"][""] >= 2 * 256 * 1024


def test_child_of_a_fork_counts_its_own(tmp_path: Path, telemetry: Telemetry) -> None:
    """The parent goes on telling of what was before."""
    with serving() as server, logging_to(tmp_path, server.endpoint, meter_provider=telemetry.meter_provider) as emit:
        emit("before")
        assert emit.processor.force_flush(60_000)

        def work() -> None:
            emit("child")
            assert emit.processor.force_flush(60_000)
            assert points(telemetry)["accepted"] == {"": 1}

        assert in_child(work) == 0
        assert points(telemetry)["accepted"] == {"": 1}

    assert sorted(server.accepted) == ["before", "child"]


def test_counts_are_kept_by_reason() -> None:
    """And their sum is at hand."""
    counts = OutboxCounters()
    counts.add(OUTBOX_DEAD, reason="bad_data")
    counts.add(OUTBOX_DEAD, 2, reason="too_large")
    counts.add(OUTBOX_DELIVERED, 0)

    assert counts.by_reason(OUTBOX_DEAD) == {"bad_data": 1, "too_large": 2}
    assert counts.total(OUTBOX_DEAD) == 3
    assert counts.by_reason(OUTBOX_DELIVERED) == {}
