"""Outboxes, folders and files that go away, change or were prepared by somebody else: records that were accepted arrive."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from delivery.emitters import at_once, each_signal, emitting_to
from delivery.losses import LOSSES
from delivery.outboxes import drain, folders_in, make_orphan, wait_for
from delivery.prepared import FILES, FOLDERS, content_below
from delivery.servers import OK, serving
from faults.matrix import Row
from heliograph.delivery.journal.segment import segments
from heliograph.delivery.signals import SIGNALS, OutboxSignal
from heliograph.semconv import OUTBOX_DAMAGED
from heliograph.settings import OutboxWrite


@each_signal
@pytest.mark.parametrize("fault", LOSSES)
def test_loss_while_records_wait(
    tmp_path: Path, record_fault: Callable[..., Row], fault: str, signal: OutboxSignal
) -> None:
    """Records that wait are read from the open file, and later ones wait elsewhere or in memory."""
    is_down = True
    with (
        serving(lambda number, records: (503, {}, b"") if is_down else OK) as server,
        emitting_to(signal, tmp_path / "box", server.endpoint_of(signal.name)) as emit,
    ):
        acknowledged = [emit(f"r{number}") for number in range(250)]
        LOSSES[fault](tmp_path / "box")
        acknowledged += [emit(f"r{number}") for number in range(250, 500)]
        is_down = False
        assert emit.processor.force_flush(60_000)
        wait_for(lambda: emit.processor.depth == 0)
        record_fault(
            fault,
            acknowledged=acknowledged,
            received=server.accepted,
            # Dead letters cannot be read where the outbox was; a record among them would count as lost.
            directory=tmp_path / "none",
            signal=signal,
        )


def test_truncated_segment(tmp_path: Path, record_fault: Callable[..., Row], caplog: pytest.LogCaptureFixture) -> None:
    """Records that were cut off are counted as damaged. Those after it arrive."""

    def truncate(case: tuple[OutboxSignal, OutboxWrite, int]) -> None:
        signal, write, size = case
        box = tmp_path / f"{signal.name}-{write.value}-{size}"
        is_down = True
        with (
            serving(lambda number, records: (503, {}, b"") if is_down else OK) as server,
            emitting_to(signal, box, server.endpoint_of(signal.name), write=write) as emit,
        ):
            acknowledged = [emit(f"r{number}") for number in range(250)]
            [folder] = folders_in(box)
            os.truncate(segments(folder)[0][1], size)
            wait_for(lambda: f"{folder} was deleted, moved or changed" in caplog.text)
            acknowledged += [emit(f"r{number}") for number in range(250, 500)]
            is_down = False
            emit.processor.force_flush(60_000)
            wait_for(lambda: not folder.exists())
            record_fault(
                f"the segment in use is truncated to {size} bytes ({write.value})",
                acknowledged=acknowledged,
                received=server.accepted,
                directory=box,
                damaged=int(emit.processor.counts.total(OUTBOX_DAMAGED)),
                signal=signal,
            )

    # All at once: each waits ten seconds for its folder to be adopted.
    at_once(truncate, list(product(SIGNALS, [OutboxWrite.MAP, OutboxWrite.PWRITE], [0, 5000])))


def drain_own_records(box: Path, tmp_path: Path) -> list[str]:
    """Drain an outbox, and return the records that arrive. What somebody else prepared stays."""
    before = content_below(tmp_path / "elsewhere")
    with serving() as server:
        drain(box, server.endpoint)
    assert content_below(tmp_path / "elsewhere") == before
    return server.accepted


@pytest.mark.parametrize("prepare", FOLDERS)
def test_prepared_folder(
    tmp_path: Path, record_fault: Callable[..., Row], prepare: Callable[[Path, Path], Path]
) -> None:
    """No record that somebody else planted is sent."""
    box = tmp_path / "box"
    own = ["before", "behind"]
    for uid in own:
        make_orphan(box, uid)
    prepare(box, tmp_path)
    received = drain_own_records(box, tmp_path)
    record_fault(f"prepared: {words(prepare)}", acknowledged=own, received=received)
    assert sorted(received) == own


@pytest.mark.parametrize("prepare", FILES)
def test_prepared_file(tmp_path: Path, record_fault: Callable[..., Row], prepare: Callable[[Path, Path], None]) -> None:
    """The records of the folder itself are sent."""
    box = tmp_path / "box"
    prepare(make_orphan(box, "own"), tmp_path)
    received = drain_own_records(box, tmp_path)
    record_fault(f"prepared: {words(prepare)}", acknowledged=["own"], received=received)
    assert received == ["own"]


def words(prepare: Callable[..., object]) -> str:
    return prepare.__name__.replace("_", " ")
