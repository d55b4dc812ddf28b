"""The size of an outbox and its limit; a full outbox is not measured again for each record."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.context import Context

from delivery.outboxes import logging_to, make_orphan, wait_for
from delivery.servers import OK, Answer, serving
from heliograph.delivery.outbox.space import Space
from heliograph.errors import OutboxFull
from heliograph.settings import OutboxFullPolicy


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The result of each measurement. No time passes for a refusal, so it is not measured again for that reason."""
    monkeypatch.setattr("heliograph.delivery.outbox.space._PAUSE_SECONDS", 3600.0)
    sizes: list[int] = []
    real = Space.used

    def used(space: Space) -> int:
        sizes.append(real(space))
        return sizes[-1]

    monkeypatch.setattr(Space, "used", used)
    return sizes


def write(directory: Path, name: str, size: int) -> Path:
    path = directory / "damaged" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


def test_room_ends_at_the_maximum_size(tmp_path: Path) -> None:
    """Every file counts, also those of other processes."""
    space = Space(tmp_path, 100)
    write(tmp_path, "x.bin", 40)

    assert space.used() == 40
    space.check(60)
    with pytest.raises(OutboxFull, match="100 bytes"):
        space.check(61)


def test_refusal_is_remembered(tmp_path: Path, measured: list[int]) -> None:
    """A file that fits into the space that was free then is accepted, after a measurement."""
    space = Space(tmp_path, 100)
    write(tmp_path, "x.bin", 40)
    for _ in range(3):
        with pytest.raises(OutboxFull):
            space.check(61)
    assert measured == [40]

    space.check(60)
    assert measured == [40, 40]


def test_own_deletions_end_a_refusal(tmp_path: Path, measured: list[int]) -> None:
    """Files that this process deletes free their space at once, and not only with the next measurement of the directory."""
    space = Space(tmp_path, 100)
    path = write(tmp_path, "x.bin", 40)
    with pytest.raises(OutboxFull):
        space.check(61)
    path.unlink()
    space.note_freed()

    space.check(61)
    assert measured == [40, 0]


def test_deletion_during_a_measurement_ends_the_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size that was measured may be the one before the deletion."""
    monkeypatch.setattr("heliograph.delivery.outbox.space._PAUSE_SECONDS", 3600.0)
    space = Space(tmp_path, 100)

    def used(_: Space) -> int:
        space.note_freed()
        return 100

    monkeypatch.setattr(Space, "used", used)
    with pytest.raises(OutboxFull):
        space.check(1)
    monkeypatch.undo()
    space.check(1)


def test_deletions_of_others_are_seen_after_a_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A measurement that takes long is repeated less often."""
    now = [0.0]
    monkeypatch.setattr("heliograph.delivery.outbox.space.time.monotonic", lambda: now[0])
    space = Space(tmp_path, 100)
    path = write(tmp_path, "x.bin", 40)
    with pytest.raises(OutboxFull):
        space.check(61)
    path.unlink()
    now[0] = 0.9
    with pytest.raises(OutboxFull):
        space.check(61)
    now[0] = 1.0
    space.check(61)

    def used(_: Space) -> int:
        now[0] += 0.05
        return 100

    with monkeypatch.context() as patch:
        patch.setattr(Space, "used", used)
        with pytest.raises(OutboxFull):
            space.check(61)
    now[0] += 4.9
    with pytest.raises(OutboxFull):
        space.check(61)
    now[0] += 0.2
    space.check(61)


@pytest.mark.parametrize("policy", list(OutboxFullPolicy))
def test_full_outbox_is_not_measured_for_each_record(
    tmp_path: Path, measured: list[int], policy: OutboxFullPolicy
) -> None:
    """An event must not cost more because other processes have left many folders."""
    write(tmp_path, "x.bin", 300_000)
    with (
        serving(lambda number, records: (503, {}, b"")) as down,
        logging_to(tmp_path, down.endpoint, max_bytes=400_000, when_full=policy) as emit,
    ):
        for number in range(500):
            emit(f"{number}" + "x" * 1000)
        before = len(measured)
        for _ in range(1000):
            emit("x" * 70_000)

        assert emit.processor.counts.by_reason("heliograph.outbox.rejected")["outbox_full"] >= 1000
        assert len(measured) - before < 10


def test_space_that_was_freed_by_sending_is_used_at_once(tmp_path: Path, measured: list[int]) -> None:
    """Own segments, and folders of ended processes."""
    is_down = True

    def answer(number: int, records: list[str]) -> Answer:
        return (503, {}, b"") if is_down else OK

    make_orphan(tmp_path, "orphan")
    with serving(answer) as server, logging_to(tmp_path, server.endpoint, max_bytes=500_000) as emit:
        emitted = 0
        while not emit.processor.counts.by_reason("heliograph.outbox.rejected"):
            emit(f"{emitted}-" + "x" * 1000)
            emitted += 1
        is_down = False
        assert emit.processor.force_flush(60_000)
        wait_for(lambda: "orphan" in server.accepted)
        emit.processor._strict = True
        for number in range(50):
            emit.logger.emit(LogRecord(context=Context(), body="x" * 1000, attributes={"log.record.uid": f"n{number}"}))
        assert emit.processor.force_flush(60_000)

    assert {f"n{number}" for number in range(50)} <= set(server.accepted)
