"""A run of `heliograph tail`: its ports, what it stores and forwards, and what ends it."""

from __future__ import annotations

import errno
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import grpc
import pytest
from click.testing import CliRunner

from backends import free_port, wait_until
from cli.tails import EXIT_SECONDS, Tail, tailing
from heliograph.cli import tail_session
from heliograph.cli.main import cli
from heliograph.receiver.datasette_folder import open_folder
from heliograph.receiver.http_body import PROTOBUF
from heliograph.receiver.signals import SIGNALS
from processes import clean_environment
from receiver.requests import log_request, span_request
from servers import Misbehaving


@pytest.mark.parametrize("option", ["--port", "--grpc-port"])
def test_port_in_use_is_one_clear_line(option: str) -> None:
    """The message names the port and the option that chooses another."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ran = CliRunner().invoke(cli, ["tail", "--port", "0", option, str(port)])

    assert ran.exit_code == 1
    assert ran.output.splitlines()[-1] == (
        f"Error: port {port} of 127.0.0.1 is in use, by a Collector or another receiver; choose another with {option}"
    )


def test_port_that_nobody_may_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the system's reason, and the option that chooses another port."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tail_session, "HttpServer", refuse)
    ran = CliRunner().invoke(cli, ["tail", "--port", "80"])

    assert ran.output.splitlines()[-1] == (
        "Error: port 80 of 127.0.0.1 cannot be opened (Permission denied); choose another with --port"
    )


def test_usual_port_of_grpc_in_use_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that the user did not name is no error: OTLP over HTTP is received all the same."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setattr(tail_session, "GRPC_PORT", port)
        ran = CliRunner().invoke(cli, ["tail", "--port", "0", "--await", "app.one", "--timeout", "0.01"])

    assert f"Not receiving OTLP over gRPC: port {port} of 127.0.0.1 is in use" in ran.output
    assert "(HTTP). Ctrl-C" in ran.output


def test_awaited_event(tmp_path: Path) -> None:
    """The status is 0 if the event arrives. It is printed, and the other options apply to it."""
    with tailing(tmp_path, "--await", "app.on?", "--actor", "ada", "--timeout", "600") as tail:
        tail.send(log_request("app.one", user__id="bob"), log_request("app.two", user__id="ada"))
        assert tail.process.poll() is None
        tail.send(log_request("app.one", user__id="ada"))
        assert tail.process.wait(EXIT_SECONDS) == 0

    assert [line.split()[1] for line in tail.lines()] == ["app.two", "app.one"]


def test_awaited_event_that_does_not_come(tmp_path: Path) -> None:
    """The status is 1, when the time is over or after Ctrl-C."""
    ran = CliRunner().invoke(
        cli, ["tail", "--port", "0", "--grpc-port", "0", "--await", "app.one", "--timeout", "0.01"]
    )
    assert (ran.exit_code, ran.output.splitlines()[-1]) == (1, "app.one did not arrive.")

    with tailing(tmp_path, "--await", "app.one") as tail:
        assert tail.end() == 1


def test_reader_of_the_output_that_ends(tmp_path: Path) -> None:
    """The command ends with the reader of its pipe, without a traceback."""
    port = free_port()
    command = f"{sys.executable} -m heliograph tail --port {port} | head -1"
    process = subprocess.Popen(
        command, shell=True, cwd=tmp_path, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    sender = Tail(process, tmp_path, f"http://127.0.0.1:{port}")

    def is_over() -> bool:
        with suppress(OSError):
            sender.send(log_request("app.one"))
        return process.poll() is not None

    wait_until(is_over, timeout_seconds=EXIT_SECONDS)
    out, err = process.communicate()

    assert len(out.splitlines()) == 1
    assert b"Traceback" not in err


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    """The command ends with the reason, such as a full disk."""
    with tailing(tmp_path, output=Path("/dev/full")) as tail:
        tail.send(log_request("app.one"))
        assert tail.process.wait(EXIT_SECONDS) == 1

    assert tail.errors().splitlines()[-1] == "Error: the standard output cannot be written: No space left on device"


def test_database(tmp_path: Path) -> None:
    """Everything is stored, printed or not, and is kept if the command is killed."""
    folder = tmp_path / "telemetry"
    with tailing(tmp_path, "--database", str(folder), "--event", "app.one") as tail:
        tail.send(log_request("app.one", ""), log_request("app.two"), span_request("GET /"))
        tail.process.kill()
        tail.process.wait()
        assert f"To look at what is stored: datasette {folder}" in tail.errors()

    store = open_folder(folder)
    assert [name for (name,) in store.rows("select event_name from events")] == ["app.one", "", "app.two"]
    assert len(store.rows("select * from spans")) == 1


def test_database_that_cannot_be_used_is_one_clear_line(tmp_path: Path) -> None:
    """The file may be another program's, or its folder may be one that cannot be created."""
    (tmp_path / "file").touch()
    (tmp_path / "events.db").write_text("mine")
    for folder in (tmp_path, tmp_path / "file" / "folder"):
        ran = CliRunner().invoke(cli, ["tail", "--port", "0", "--grpc-port", "0", "--database", str(folder)])
        assert ran.exit_code in {1, 2}
        assert "Traceback" not in ran.output
        assert str(folder) in ran.output.splitlines()[-1]


def test_forward(tmp_path: Path) -> None:
    """Events of both protocols are printed here, and arrive there."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with tailing(first) as target:
        options = ("--forward", target.endpoint, "--forward-grpc", f"http://{target.grpc_endpoint}")
        with tailing(second, *options) as tail:
            assert (
                f"Forwarding to {urlsplit(target.endpoint).netloc} (HTTP) and {target.grpc_endpoint} (gRPC).\n"
                in tail.errors()
            )
            tail.send(log_request("app.one"))
            with grpc.insecure_channel(tail.grpc_endpoint) as channel:
                channel.unary_unary(SIGNALS[0].grpc_method)(
                    log_request("app.two").SerializeToString(), timeout=EXIT_SECONDS
                )
            here, there = tail.wait_for_lines(2), target.wait_for_lines(2)
            assert tail.end() == 0

    assert [line.split()[1] for line in here] == [line.split()[1] for line in there] == ["app.one", "app.two"]


def test_forwarded_requests_that_cannot_be_stored_are_counted(tmp_path: Path) -> None:
    """The answer is the target's all the same: its client must not send again."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with (
        tailing(first) as target,
        tailing(second, "--forward", target.endpoint, "--database", str(second / "db")) as tail,
    ):
        for path in (second / "db").glob("events.db*"):
            path.unlink()
        (second / "db" / "events.db").write_text("mine")
        tail.send(log_request("app.one"), log_request("app.two"))
        assert tail.end() == 0
        target.wait_for_lines(2)

    assert tail.errors().count("Not stored, although the target has accepted it") == 1
    assert tail.errors().splitlines()[-1] == "2 requests not stored that the target has accepted."


@pytest.mark.parametrize("kept", ["stored", "printed"])
def test_forwarded_requests_that_are_not_understood_are_counted(tmp_path: Path, kept: str) -> None:
    """The target may understand more. Without a database nothing is stored, so they are what is not printed."""
    database = ["--database", str(tmp_path / "db")] if kept == "stored" else []
    with Misbehaving() as target, tailing(tmp_path, "--forward", target.endpoint, *database) as tail:
        for path in ("/v1/logs", "/v1development/profiles"):
            request = Request(tail.endpoint + path, b"\xff", {"Content-Type": PROTOBUF}, method="POST")
            with urlopen(request, timeout=EXIT_SECONDS) as response:
                assert response.status == 200
        assert tail.end() == 0

    assert tail.errors().count(f"Not {kept}, although the target has accepted it: ") == 1
    assert tail.errors().splitlines()[-1] == f"2 requests not {kept} that the target has accepted."


def test_answer_does_not_depend_on_the_standard_error(tmp_path: Path) -> None:
    """The standard error may be a pipe whose reader has ended, such as `head`."""
    command = [sys.executable, "-m", "heliograph", "tail", "--port", "0", "--grpc-port", "0"]
    with Misbehaving() as target:
        process = subprocess.Popen(
            [*command, "--forward", target.endpoint],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=clean_environment(),
        )
        try:
            assert process.stderr is not None
            url = process.stderr.readline().split()[3].decode()
            process.stderr.readline()
            process.stderr.close()
            request = Request(f"{url}/v1/logs", b"\xff", {"Content-Type": PROTOBUF}, method="POST")
            with urlopen(request, timeout=EXIT_SECONDS) as response:
                assert response.status == 200
        finally:
            process.kill()
            process.wait()
