"""``heliograph outbox drain``: send the records of processes that have ended.

Threads: one for each signal runs `_Drain.run`. The main thread shows the progress, and closes the drains when the user or a service
manager interrupts it.
"""

from __future__ import annotations

import itertools
import json
import os
import signal as system_signals
import sys
import time
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import click

from heliograph.cli.json_option import json_option
from heliograph.cli.outbox_directory import directory_option, open_outbox
from heliograph.cli.seconds import Seconds
from heliograph.cli.terminal import echo
from heliograph.delivery.metrics import OutboxCounters
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.outbox.state import OutboxState
from heliograph.delivery.sending.destination_state import DestinationState
from heliograph.delivery.sending.orphans import Orphan, adopt
from heliograph.delivery.sending.sender import Sender
from heliograph.delivery.signals import SIGNALS, OutboxSignal
from heliograph.delivery.transport.environment import destination_from_env
from heliograph.delivery.transport.open import open_transport
from heliograph.delivery.worker import MAX_OPEN_ORPHANS
from heliograph.sdk.exporters import TelemetrySignal
from heliograph.semconv import OUTBOX_DAMAGED, OUTBOX_DEAD, OUTBOX_DELIVERED, OUTBOX_REJECTED, OUTBOX_RETRIED
from heliograph.settings import Settings
from heliograph.values.text import counted

FOLLOW_SECONDS: Final = 1.0
"""The time between two searches for orphans with ``drain --follow``."""
TIMEOUT_SECONDS: Final = 30.0
"""The time after which `drain` gives up by default, if the server accepts nothing."""

_SHORTEST_PAUSE_SECONDS: Final = 0.05
_SHOW_SECONDS: Final = 0.2
_COUNTERS: Final = {
    "delivered": OUTBOX_DELIVERED,
    "rejected": OUTBOX_REJECTED,
    "dead": OUTBOX_DEAD,
    "damaged": OUTBOX_DAMAGED,
    "retried": OUTBOX_RETRIED,
}


@click.command()
@click.argument(
    "named", metavar="[DIRECTORY]", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@directory_option
@click.option(
    "--timeout",
    type=Seconds(min_open=True),
    metavar="SECONDS",
    help="Give up if the server accepts nothing for this long. Default: 30, or no limit with --follow.",
)
@click.option(
    "--follow",
    is_flag=True,
    help="Keep running until SIGTERM or Ctrl-C, and also send the records of processes that end later.",
)
@json_option("JSON")
def drain(named: Path | None, directory: Path | None, *, timeout: float | None, follow: bool, as_json: bool) -> None:
    """Send the records of processes that have ended, from the outbox in DIRECTORY or the one that HELIOGRAPH_OUTBOX names.

    The server is the one that the OTEL_EXPORTER_OTLP_* variables name. A server that is down or refuses is tried again, with
    growing pauses, and never before the time that it asks for. Log records and spans are sent at the same time, each to its own
    endpoint, but none of a signal whose OTEL_LOGS_EXPORTER or OTEL_TRACES_EXPORTER is "none". Records of running processes are not
    touched: those processes send them.

    The exit status is 1 if the outbox still contains records that wait, dead letters or damaged files, or if a folder is stuck.
    """
    if named is not None and directory is not None:
        raise click.UsageError("name the outbox once, by DIRECTORY or by --directory")
    if timeout is None and not follow:
        timeout = TIMEOUT_SECONDS
    outbox = open_outbox(named or directory)
    senders = [_open_sender(outbox, signal, timeout) for signal in SIGNALS if _has_destination(signal)]
    if follow:
        # A service manager sends SIGTERM. Raised as a KeyboardInterrupt, it ends the wait in `_run_all`, and the folders are unlocked.
        system_signals.signal(system_signals.SIGTERM, system_signals.default_int_handler)
    drains = [_Drain(outbox, sender, timeout, follow=follow) for sender in senders]
    _run_all(drains)
    stuck = [each for drain in drains for each in drain.stuck]
    _report(outbox, [sender.counts for sender in senders], stuck, as_json=as_json)


def _has_destination(signal: OutboxSignal) -> bool:
    return not TelemetrySignal(signal.name).is_unwanted(os.environ)


def _run_all(drains: list[_Drain]) -> None:
    """Run all drains at the same time, until they have ended or the user interrupts them."""
    with (
        ThreadPoolExecutor(max_workers=len(SIGNALS), thread_name_prefix="heliograph-drain") as threads,
        click.progressbar(length=0, label="Sending", file=sys.stderr, show_pos=True) as bar,
    ):
        running = [threads.submit(drain.run) for drain in drains]
        try:
            while _wait(running):
                _show(bar, drains)
            _show(bar, drains)
        except KeyboardInterrupt:
            # The command reports what remains in the outbox, as after any other end.
            pass
        finally:
            for drain in drains:
                drain.close()


def _wait(running: list[Future[None]]) -> bool:
    """Wait for a moment. Return False if all drains have ended. Raise the exception of a drain that has failed."""
    done, not_done = futures.wait(running, _SHOW_SECONDS, futures.FIRST_EXCEPTION)
    for each in done:
        each.result()
    return bool(not_done)


def _show(bar: Any, drains: list[_Drain]) -> None:
    done = sum(drain.done for drain in drains)
    bar.length = done + sum(drain.waiting for drain in drains)
    bar.update(done - bar.pos)


def _open_sender(outbox: OutboxDirectory, signal: OutboxSignal, timeout: float | None) -> Sender:
    allow_plaintext = Settings.from_env().outbox_allow_plaintext
    destination = destination_from_env(allow_plaintext=allow_plaintext, signal=signal.name)
    state = DestinationState(
        open_transport(destination),
        # Otherwise a server that does not respond could delay the end of the command beyond --timeout.
        timeout_seconds=min(destination.timeout_seconds, timeout or destination.timeout_seconds),
        dead_letters=outbox.dead_letters,
        counts=OutboxCounters(),
        signal=signal,
    )
    return Sender(state)


class _Drain:
    """Adopts the orphans of one signal in an outbox, and sends their records.

    Threads: one thread calls `run`. Meanwhile another one may call `close` and read `done` and `waiting`.

    Args:
        outbox: The outbox.
        sender: The sender.
        timeout: The longest time in which the server accepts nothing, in seconds; `None` for no limit.
        follow: True to wait for more orphans when all were sent.

    Attributes:
        stuck: A sentence for each folder that was sent and cannot be deleted.
        done: The number of records that were delivered, rejected, or became dead letters.
    """

    def __init__(self, outbox: OutboxDirectory, sender: Sender, timeout: float | None, *, follow: bool) -> None:
        self.stuck: list[str] = []
        self._outbox = outbox
        self._sender = sender
        self._timeout = timeout
        self._follow = follow
        self._orphans: list[Orphan] = []
        self._passed_over: set[Path] = set()
        self.done = 0
        self._last_success_at = time.monotonic()

    @property
    def waiting(self) -> int:
        """The number of records that wait in the orphans that are open."""
        return sum(orphan.waiting for orphan in list(self._orphans))

    def close(self) -> None:
        """Cancel the request under way, and let `run` return."""
        self._sender.close()

    def run(self) -> None:
        """Send until no orphan is left (with `follow`: until this is closed), or the server has accepted nothing for too long."""
        try:
            while not self._sender.closed.is_set() and (self._adopt() or self._follow):
                for orphan in list(self._orphans):
                    if orphan.drain(self._sender, self._note_progress):
                        self._remove(orphan)
                self._note_progress()
                pause = self._pause_seconds()
                idle = time.monotonic() - self._last_success_at
                if self._orphans and self._timeout is not None and idle + pause > self._timeout:
                    return
                self._sender.closed.wait(pause)
        finally:
            for orphan in self._orphans:
                orphan.release()

    def _adopt(self) -> bool:
        """Adopt as many orphans as may be open. Return True if there are any."""
        if not self._orphans:
            # The time in which there was nothing to send does not count as one in which the server accepted nothing.
            self._last_success_at = time.monotonic()
        for orphan in itertools.islice(
            adopt(self._outbox, self._sender.signal, self._passed_over), MAX_OPEN_ORPHANS - len(self._orphans)
        ):
            self._orphans.append(orphan)
        return bool(self._orphans)

    def _remove(self, orphan: Orphan) -> None:
        self._orphans.remove(orphan)
        if not orphan.is_sent:
            self._passed_over.add(orphan.folder)
        if orphan.is_stuck:
            self.stuck.append(f"{orphan.folder}: it cannot be deleted; what can be read in it was sent")

    def _pause_seconds(self) -> float:
        if not self._orphans:
            return FOLLOW_SECONDS if self._follow else 0.0
        return max(_SHORTEST_PAUSE_SECONDS, self._sender.waiting_seconds())

    def _note_progress(self) -> None:
        counts = self._sender.counts
        done = sum(counts.total(metric) for metric in (OUTBOX_DELIVERED, OUTBOX_REJECTED, OUTBOX_DEAD))
        if done > self.done:
            self._last_success_at = time.monotonic()
        self.done = done


def _report(outbox: OutboxDirectory, counters: list[OutboxCounters], stuck: list[str], *, as_json: bool) -> None:
    """Print the numbers of delivered and failed records, and of those that are still in the outbox.

    Raises:
        SystemExit: Records, dead letters, damaged files or stuck folders are still in the outbox. The status is 1.
    """
    state = OutboxState.of(outbox)
    stuck = [*state.stuck, *stuck]
    counts = {name: sum(each.total(metric) for each in counters) for name, metric in _COUNTERS.items()}
    if as_json:
        echo(json.dumps({**counts, **state.totals(), "stuck": stuck}))
    else:
        echo(
            "Delivered: {delivered}. Rejected: {rejected}. Dead letters: {dead}. Damaged: {damaged}. "
            "Failed requests: {retried}.".format(**counts)
        )
    for reason in stuck:
        echo(f"Stuck: {reason}", err=True)
    if not state.is_clean or stuck:
        left = [
            counted(state.waiting, "waiting record"),
            counted(state.dead_letters, "dead letter"),
            counted(state.damaged_files, "damaged file"),
            counted(len(stuck), "stuck item"),
        ]
        echo(
            f"Not all records were delivered. Still in the outbox: {', '.join(left)}. `heliograph outbox status` shows them.",
            err=True,
        )
        raise SystemExit(1)
