"""The chapter about an outage counts what waited and what arrived afterwards. `test_demo` runs and kills the real forum."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from delivery.outboxes import make_orphan
from heliograph.demo import outage as module
from heliograph.demo.outage import outage_chapter
from heliograph.demo.processes import Ended
from heliograph.receiver.store import Store


def test_numbers_are_those_of_the_outbox_and_of_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of five events that the program tracked, three wait in this outbox, and none of them arrives: both losses are seen."""
    endpoints: list[str] = []

    def killed_forum(endpoint: str, outbox: Path) -> Ended:
        endpoints.append(endpoint)
        make_orphan(outbox, "a", "b", "c")
        return Ended(lines=["5"], errors=[], status=-signal.SIGKILL)

    def drain(endpoint: str, outbox: Path) -> Ended:
        endpoints.append(endpoint)
        return Ended(lines=["Delivered: \x1b 3."], errors=[], status=0)

    monkeypatch.setattr(module, "killed_forum", killed_forum)
    monkeypatch.setattr(module, "drain", drain)
    chapter = outage_chapter(Store(tmp_path / "events.db"), tmp_path)

    assert [(count.sent, count.arrived) for count in chapter.counts] == [(5, 3), (5, 0)]
    assert chapter.code
    assert chapter.seen == [
        f"nobody listens at {endpoints[0]}",
        "  5 events are tracked, 0 arrive",
        "the program is ended by SIGKILL",
        "  3 events wait in its outbox",
        f"a receiver listens at {endpoints[1]}",
        "  $ heliograph outbox drain",
        r"  Delivered: \x1b 3.",
        "  0 of 5 events have arrived",
    ]
