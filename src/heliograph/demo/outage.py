"""The chapter about an outage: no receiver runs, the program is killed, and its events are delivered afterwards."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Final

from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.outbox.state import OutboxState
from heliograph.demo import forum
from heliograph.demo.arrived import count
from heliograph.demo.chapter import Chapter, Count
from heliograph.demo.processes import drain, killed_forum
from heliograph.demo.source import source_of
from heliograph.receiver.server import receiving
from heliograph.receiver.store import Store
from heliograph.settings import Settings
from heliograph.values.text import display

_ARRIVED: Final = "select count(distinct uid) from events where event_name = 'forum.import_post'"


def outage_chapter(store: Store, folder: Path) -> Chapter:
    """Run the program during an outage, and return the chapter about it.

    Args:
        store: The store of the receiver.
        folder: A folder for the outbox.

    Raises:
        DemoFailed: A process failed.
    """
    outbox = folder / "outbox"
    with receiving(store) as closed_endpoint:
        # The receiver is closed at once: only the address of a closed port is needed.
        pass
    killed = killed_forum(closed_endpoint, outbox)
    tracked = int(killed.lines[-1])
    before, waiting = count(store, _ARRIVED), _waiting(outbox)
    with receiving(store) as endpoint:
        drained = drain(endpoint, outbox)
    seen = [
        f"nobody listens at {closed_endpoint}",
        f"  {tracked} events are tracked, {before} arrive",
        f"the program is ended by {signal.Signals(-killed.status).name}",
        f"  {waiting} events wait in its outbox",
        f"a receiver listens at {endpoint}",
        "  $ heliograph outbox drain",
        *(f"  {display(line)}" for line in drained.lines),
        f"  {count(store, _ARRIVED)} of {tracked} events have arrived",
    ]
    return Chapter(
        title="The events of a program outlive an outage, and the program",
        code=source_of(forum.ImportPost, forum.import_posts),
        seen=seen,
        counts=[
            Count(what="events that waited in the outbox", sent=tracked, arrived=waiting),
            Count(what="events of the program that was killed", sent=tracked, arrived=count(store, _ARRIVED)),
        ],
    )


def _waiting(outbox: Path) -> int:
    return OutboxState.of(OutboxDirectory(outbox, max_bytes=Settings().outbox_max_bytes)).waiting
