"""`heliograph outbox drain`: it keeps trying, and its exit status is the truth about the directory."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from backends import wait_until
from delivery.outboxes import (
    drain,
    folders_in,
    logging_to,
    make_damaged_orphan,
    make_orphan,
)
from delivery.outboxes import (
    run_outbox as run,
)
from delivery.servers import OK, TRICKLES, serving
from heliograph.cli import outbox_drain
from heliograph.cli.main import cli
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.sending.destination_state import DestinationState
from heliograph.delivery.sending.orphans import Orphan
from heliograph.delivery.sending.sender import Sender
from heliograph.semconv import OUTBOX_DELIVERED
from processes import clean_environment


def test_drain_sends_records_of_ended_processes(abandoned: Path) -> None:
    """The folders of ended processes are deleted. The directory can be named in two ways."""
    with serving() as server:
        result = drain(abandoned, server.endpoint)

    assert result.exit_code == 0
    assert "Delivered: 3. Rejected: 0. Dead letters: 0. Damaged: 0. Failed requests: 0." in result.output
    assert server.accepted == ["r0", "r1", "r2"]
    assert folders_in(abandoned) == []
    assert CliRunner().invoke(cli, ["outbox", "drain", str(abandoned)]).exit_code == 0
    assert "name the outbox once" in run("drain", abandoned, "--directory", abandoned).output


@pytest.mark.parametrize("answer", [(503, {}, b""), (500, {}, b""), (429, {"Retry-After": "1"}, b""), None])
def test_drain_keeps_trying(abandoned: Path, answer: Any) -> None:
    """A server that fails for a moment gets all records, and not before the time that it asked for."""
    times: list[float] = []

    def reply(number: int, records: list[str]) -> Any:
        times.append(time.monotonic())
        return answer if number < 2 else OK

    with serving(reply) as server:
        result = drain(abandoned, server.endpoint, "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "delivered": 3,
        "rejected": 0,
        "dead": 0,
        "damaged": 0,
        "retried": 2,
        "waiting": 0,
        "dead_letters": 0,
        "damaged_files": 0,
        "stuck": [],
    }
    assert {*server.accepted} == {"r0", "r1", "r2"}
    if answer == (429, {"Retry-After": "1"}, b""):
        assert all(later - earlier >= 1 for earlier, later in itertools.pairwise(times))


def test_drain_gives_up_after_its_timeout(abandoned: Path) -> None:
    """All records stay, and the command prints how many are left."""
    with serving(lambda number, records: (503, {}, b"")) as down:
        result = drain(abandoned, down.endpoint, "--timeout", "1.5")

    assert result.exit_code == 1
    assert "Delivered: 0." in result.stdout
    assert "Still in the outbox: 3 waiting records, 0 dead letters, 0 damaged files, 0 stuck items." in result.stderr
    assert len(folders_in(abandoned)) == 1


def test_drain_does_not_wait_for_longer_than_its_timeout(abandoned: Path) -> None:
    """A server that asks to come back in an hour ends it at once; one that does not respond, after the timeout."""
    with serving(lambda number, records: (503, {"Retry-After": "3600"}, b"")) as down:
        assert drain(abandoned, down.endpoint).exit_code == 1
    with serving(lambda number, records: TRICKLES["header"]) as slow:
        assert drain(abandoned, slow.endpoint, "--timeout", "0.5").exit_code == 1

    assert (len(down.requests), len(slow.requests)) == (1, 1)


def test_drain_goes_on_while_the_server_accepts(tmp_path: Path) -> None:
    """The timeout is about the time without success, however long the whole takes."""
    for number in range(40):
        make_orphan(tmp_path, f"r{number}")

    def reply(number: int, records: list[str]) -> Any:
        time.sleep(0.03)
        return OK

    with serving(reply) as server:
        result = drain(tmp_path, server.endpoint, "--timeout", "0.9")

    assert (result.exit_code, len(server.accepted)) == (0, 40)


def test_drain_reports_what_is_dead_or_damaged(tmp_path: Path) -> None:
    """The exit status is 1 until somebody has looked at it, although nothing waits."""
    make_damaged_orphan(tmp_path)
    make_orphan(tmp_path, "good", "bad")
    with serving(lambda number, records: (400, {}, b"") if "bad" in records else OK) as server:
        first = drain(tmp_path, server.endpoint)
        again = drain(tmp_path, server.endpoint)

    assert (first.exit_code, again.exit_code) == (1, 1)
    assert "Still in the outbox: 0 waiting records, 1 dead letter, 1 damaged file, 0 stuck items." in again.stderr


def test_folder_that_cannot_be_deleted_is_sent_once_and_reported(abandoned: Path) -> None:
    """The folder has a folder of somebody else in it. The other orphans are sent as well."""
    [stuck] = folders_in(abandoned)
    (stuck / "somebody's").mkdir()
    make_orphan(abandoned, "other")
    with serving() as server:
        result = drain(abandoned, server.endpoint)

    assert result.exit_code == 1
    assert sorted(server.accepted) == ["other", "r0", "r1", "r2"]
    assert f"{stuck.name}: it cannot be deleted; what can be read in it was sent" in result.stderr


def test_records_of_a_running_process_are_left_to_it(tmp_path: Path) -> None:
    """Records of a running process wait in the outbox, and the exit status says so."""
    with serving(lambda number, records: (503, {}, b"")) as down, logging_to(tmp_path, down.endpoint) as emit:
        emit("mine")
        with serving() as server:
            result = drain(tmp_path, server.endpoint)

    assert (result.exit_code, server.requests) == (1, [])
    assert "Still in the outbox: 1 waiting record," in result.stderr


def test_drain_follows_until_it_is_stopped(tmp_path: Path) -> None:
    """A real process sends what three programs leave, one after the other. After SIGTERM, the exit status is 0 if nothing is left."""
    box = tmp_path / "box"
    box.mkdir()
    with serving() as server:
        environment = clean_environment(OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=server.endpoint, NO_PROXY="127.0.0.1")
        command = [sys.executable, "-m", "heliograph", "outbox", "drain", "--follow", "--json", "--directory", str(box)]
        follower = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            for number in range(3):
                with serving(lambda number, records: (503, {}, b"")) as down, logging_to(box, down.endpoint) as emit:
                    emit(f"r{number}")
                wait_until(lambda: not folders_in(box))
        finally:
            follower.terminate()
            output, _ = follower.communicate(timeout=20)
    assert follower.returncode == 0
    assert json.loads(output)["delivered"] == 3
    assert server.accepted == ["r0", "r1", "r2"]


def test_follow_ends_with_the_truth(abandoned: Path) -> None:
    """Records that the server did not accept are left: the exit status is 1."""
    with serving(lambda number, records: (503, {}, b"")) as down:
        environment = clean_environment(OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=down.endpoint, NO_PROXY="127.0.0.1")
        command = [sys.executable, "-m", "heliograph", "outbox", "drain", "--follow", str(abandoned)]
        follower = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: down.requests or None)
        finally:
            follower.terminate()
            _, output = follower.communicate(timeout=20)

    assert follower.returncode == 1
    assert "Still in the outbox: 3 waiting records" in output


@pytest.mark.parametrize("arguments", [[], ["--follow"]])
def test_interrupted_drain_is_incomplete(
    abandoned: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """The exit status says so, also with `--follow`, which always ends by a signal. The folders are unlocked."""

    def interrupt(orphan: Orphan, *_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(Orphan, "drain", interrupt)
    with serving() as server:
        result = drain(abandoned, server.endpoint, *arguments)

    assert result.exit_code == 1
    assert "Still in the outbox: 3 waiting records, 0 dead letters" in result.stderr
    assert json.loads(run("status", "--directory", abandoned, "--json").stdout)["folders"][0]["held"] is False


def test_follow_has_no_timeout(abandoned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--follow` goes on however long the server accepts nothing."""
    calls: list[Orphan] = []

    def refuse(orphan: Orphan, *_: object) -> bool:
        calls.append(orphan)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return False

    monkeypatch.setattr(outbox_drain, "TIMEOUT_SECONDS", 1e-9)
    monkeypatch.setattr(Orphan, "drain", refuse)
    with serving() as server:
        assert drain(abandoned, server.endpoint, "--follow").exit_code == 1

    assert len(calls) == 3


@pytest.mark.parametrize(
    ("options", "milliseconds", "seconds"),
    [([], "20000", 20.0), ([], "60000", 30.0), (["--timeout", "2"], "1000", 1.0), (["--timeout", "2"], "3000", 2.0)],
)
def test_request_ends_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], milliseconds: str, seconds: float
) -> None:
    """The shorter of the two timeouts counts: the one of a request, and the one of the command."""
    timeouts: list[float] = []

    def create_state(*arguments: Any, timeout_seconds: float, **more: Any) -> DestinationState:
        timeouts.append(timeout_seconds)
        return DestinationState(*arguments, timeout_seconds=timeout_seconds, **more)

    monkeypatch.setattr(outbox_drain, "DestinationState", create_state)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", milliseconds)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")

    assert drain(tmp_path, "http://127.0.0.1:9/v1/logs", *options).exit_code == 0
    assert timeouts == [seconds]


@pytest.mark.parametrize(("allowed", "status"), [("false", 2), ("true", 0)])
def test_credentials_need_tls_or_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: str, status: int
) -> None:
    """The command has the rule of the programs that write to the outbox."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret")
    monkeypatch.setenv("HELIOGRAPH_OUTBOX_ALLOW_PLAINTEXT", allowed)

    result = drain(tmp_path, "http://collector.example/v1/logs")

    assert result.exit_code == status
    assert ("not sent unencrypted" in result.output) is (status == 2)


def test_few_orphans_are_open_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has open files. No more are adopted while the server accepts nothing."""
    for number in range(5):
        make_orphan(tmp_path, f"r{number}")
    box = OutboxDirectory(tmp_path, max_bytes=10**9)
    held: list[int] = []

    def refuse(orphan: Orphan, *_: object) -> bool:
        held.append(sum(map(box.is_locked, box.folders())))
        if len(held) == 6:
            raise KeyboardInterrupt
        return False

    monkeypatch.setattr(outbox_drain, "MAX_OPEN_ORPHANS", 2)
    monkeypatch.setattr(Orphan, "drain", refuse)
    with serving() as server:
        assert drain(tmp_path, server.endpoint).exit_code == 1

    assert held == [2] * 6


@pytest.mark.parametrize("options", [[], ["--timeout", "0.5"]], ids=str)
def test_follow_pauses_between_searches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]) -> None:
    """An empty outbox keeps no core busy. The time without records is not a server's time without success."""
    pauses: list[float | None] = []
    now = [1000.0]

    class Closed(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout)
            now[0] += timeout or 0.0
            if len(pauses) == 2:
                make_orphan(tmp_path, "r0")
            if len(pauses) == 3:
                raise KeyboardInterrupt
            return False

    def open_sender(state: DestinationState) -> Sender:
        sender = Sender(state)
        sender.closed = Closed()
        return sender

    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    monkeypatch.setattr(outbox_drain, "Sender", open_sender)
    monkeypatch.setattr(outbox_drain, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(Orphan, "drain", lambda *_: False)

    assert drain(tmp_path, "http://127.0.0.1:9/v1/logs", "--follow", *options).exit_code == 1
    assert pauses == [outbox_drain.FOLLOW_SECONDS, outbox_drain.FOLLOW_SECONDS, 0.05]


def test_folder_with_a_file_of_somebody_is_stuck(abandoned: Path) -> None:
    """Nothing else is left, and the exit status is 1 all the same."""
    [stuck] = folders_in(abandoned)
    (stuck / "notes").touch(mode=0o600)
    with serving() as server:
        result = drain(abandoned, server.endpoint)

    assert result.exit_code == 1
    assert "0 waiting records, 0 dead letters, 0 damaged files, 1 stuck item." in result.stderr


def test_each_success_begins_the_timeout_again(abandoned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder may take longer than the timeout, as long as the server accepts some of it."""
    now = [1000.0]

    def accept_some(orphan: Orphan, sender: Sender, after_each: Any) -> bool:
        now[0] += 20.0
        if now[0] > 1070.0:
            raise KeyboardInterrupt
        sender.counts.add(OUTBOX_DELIVERED, 1)
        return False

    monkeypatch.setattr(outbox_drain, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(Orphan, "drain", accept_some)
    drain(abandoned, "http://127.0.0.1:9/v1/logs", "--timeout", "30")

    assert now == [1080.0]
