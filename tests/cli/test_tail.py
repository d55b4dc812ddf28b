"""`heliograph tail` prints each event as it arrives."""

from __future__ import annotations

import errno
import json
import signal
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
from processes import clean_environment, otlp, program_environment, run
from receiver.requests import TRACE, log_request, span_request
from servers import Misbehaving

PROGRAM = """
from dataclasses import dataclass
from heliograph import Event, acting_as, configure

@dataclass
class Ban(Event, message="{actor[id]} banned {username}"):
    name = "ban-user"
    username: str

with configure(events=[Ban]) as host, acting_as({"id": "root"}):
    host.track(Ban(username="cleverbot"))
    host.call(host.verify_token, "no token")
"""


def test_events_of_a_program_are_printed(tmp_path: Path) -> None:
    """Each has one line. An operation on a token has one, too."""
    with tailing(tmp_path) as tail:
        ran = run([sys.executable, "-c", PROGRAM], cwd=tmp_path, env=program_environment(**otlp(tail.endpoint)))
        assert ran.returncode == 0, ran.stderr
        lines = tail.wait_for_lines(2)
        assert tail.end() == 0

    assert sorted(line.split()[1:] for line in lines if "app.ban_user" in line) == [
        ["app.ban_user", "root", "root", "banned", "cleverbot"]
    ]
    [verified] = [line for line in lines if "token.verify" in line]
    assert verified.split()[1:4] == ["token.verify", "–", "unrecognized"]
    assert tail.errors().splitlines()[-1] == f"{len(lines)} lines printed."


def test_options_choose_what_is_printed(tmp_path: Path) -> None:
    """One of the values of each option must match."""
    with tailing(
        tmp_path, "--event", "app.*", "--event", "token.verify", "--actor", "ada", "--trace", TRACE.hex()[:8].upper()
    ) as tail:
        tail.send(
            log_request("app.one", trace=TRACE, user__id="ada"),
            log_request("app.two", trace=TRACE, user__id="bob"),
            log_request("app.three", user__id="ada"),
            log_request("other.four", trace=TRACE, user__id="ada"),
            span_request("token.create", user__id="ada"),
            span_request("token.verify", user__id="ada"),
        )
        lines = tail.wait_for_lines(2)
        assert tail.end(signal.SIGTERM) == 0

    assert [line.split()[1] for line in lines] == ["app.one", "token.verify"]


def test_json(tmp_path: Path) -> None:
    """Each line is one object, with all attributes."""
    with tailing(tmp_path, "--json") as tail:
        tail.send(log_request("app.one", trace=TRACE, user__id="ada"), span_request("token.verify"))
        lines = tail.wait_for_lines(2)

    event, span = map(json.loads, lines)
    assert event == {
        "time": "2027-01-15T12:00:00.000000Z",
        "kind": "event",
        "name": "app.one",
        "actor": "ada",
        "body": "app.one",
        "trace_id": TRACE.hex(),
        "token_id": None,
        "service": "shop",
        "attributes": {"user.id": "ada"},
    }
    assert span["kind"] == "span"
    assert event.keys() == span.keys()


def test_terminal_of_an_old_encoding(tmp_path: Path) -> None:
    """Characters that it lacks are escaped, and the printing goes on."""
    with tailing(tmp_path, PYTHONIOENCODING="latin-1") as tail:
        tail.send(log_request("app.one"), log_request("app.two"))
        lines = tail.wait_for_lines(2)

    assert lines[0].split()[1:] == ["app.one", "\\u2013", "app.one"]


def test_event_that_arrives_twice_is_printed_once(tmp_path: Path) -> None:
    """As a log record, as a span event, and again."""
    event = log_request("app.one", log__record__uid="u1")
    with tailing(tmp_path) as tail:
        tail.send(event, span_request("GET /", "app.one", uid="u1"), event, log_request("app.two"))
        lines = tail.wait_for_lines(2)

    assert [line.split()[1] for line in lines] == ["app.one", "app.two"]


@pytest.mark.parametrize("option", ["--port", "--grpc-port"])
def test_port_in_use_is_one_clear_line(option: str) -> None:
    """It names the port and the option."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ran = CliRunner().invoke(cli, ["tail", "--port", "0", option, str(port)])

    assert ran.exit_code == 1
    assert ran.output.splitlines()[-1] == (
        f"Error: port {port} of 127.0.0.1 is in use, by a Collector or another receiver; choose another with {option}"
    )


def test_port_that_nobody_may_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is the system's."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tail_session, "HttpServer", refuse)
    ran = CliRunner().invoke(cli, ["tail", "--port", "80"])

    assert ran.output.splitlines()[-1] == (
        "Error: port 80 of 127.0.0.1 cannot be opened (Permission denied); choose another with --port"
    )


def test_usual_port_of_grpc_in_use_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP is received all the same."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setattr(tail_session, "GRPC_PORT", port)
        ran = CliRunner().invoke(cli, ["tail", "--port", "0", "--await", "app.one", "--timeout", "0.01"])

    assert f"Not receiving OTLP over gRPC: port {port} of 127.0.0.1 is in use" in ran.output
    assert "(HTTP). Ctrl-C" in ran.output


def test_awaited_event(tmp_path: Path) -> None:
    """The status is 0 when it came. It is printed, and what else is awaited of it applies."""
    with tailing(tmp_path, "--await", "app.on?", "--actor", "ada", "--timeout", "600") as tail:
        tail.send(log_request("app.one", user__id="bob"), log_request("app.two", user__id="ada"))
        assert tail.process.poll() is None
        tail.send(log_request("app.one", user__id="ada"))
        assert tail.process.wait(EXIT_SECONDS) == 0

    assert [line.split()[1] for line in tail.lines()] == ["app.two", "app.one"]


def test_awaited_event_that_does_not_come(tmp_path: Path) -> None:
    """The status is 1, after the time or after Ctrl-C."""
    ran = CliRunner().invoke(
        cli, ["tail", "--port", "0", "--grpc-port", "0", "--await", "app.one", "--timeout", "0.01"]
    )
    assert (ran.exit_code, ran.output.splitlines()[-1]) == (1, "app.one did not arrive.")

    with tailing(tmp_path, "--await", "app.one") as tail:
        assert tail.end() == 1


def test_timeout_needs_an_awaited_event() -> None:
    """The command does not end otherwise."""
    ran = CliRunner().invoke(cli, ["tail", "--timeout", "3"])
    assert (ran.exit_code, "--timeout belongs to --await" in ran.output) == (2, True)


def test_grpc(tmp_path: Path) -> None:
    """Events that arrive by gRPC are printed, too."""
    with tailing(tmp_path, "--await", "app.ban_user", "--timeout", "600") as tail:
        environment = program_environment(
            **otlp(f"http://{tail.grpc_endpoint}", OTEL_EXPORTER_OTLP_PROTOCOL="grpc", OTEL_METRICS_EXPORTER="none")
        )
        ran = run([sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment)
        assert ran.returncode == 0, ran.stderr
        assert tail.process.wait(EXIT_SECONDS) == 0

    assert any("root banned cleverbot" in line for line in tail.lines())


def test_reader_of_the_output_that_ends(tmp_path: Path) -> None:
    """The command ends, without a traceback."""
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
    """Everything is stored, also what is not printed, and survives that the command is killed."""
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
    """It is another program's, or its folder cannot be created."""
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
    """It may be a pipe whose reader has ended, such as `head`."""
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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--forward", "collector:4318"], "--forward collector:4318: it must be a URL"),
        (
            ["--forward", "http://me:canary@collector:4318"],
            "--forward http://collector:4318: the URL must have no user",
        ),
        (["--forward", "http://me:can/ary@collector"], "--forward http://...: it must be a URL"),
        (["--forward", "http://[collector?canary"], "it must be a URL"),
        (["--await", ""], "--await needs the name of an event"),
        (["--forward-grpc", "http://collector:4317"], "--forward-grpc belongs to --forward"),
        (["--forward", "http://127.0.0.1:4400"], "127.0.0.1:4400 is this command's own port"),
        (
            ["--grpc-port", "4401", "--port", "0", "--forward", "http://x", "--forward-grpc", "http://localhost:4401"],
            "localhost:4401 is this command's own port",
        ),
    ],
)
def test_wrong_targets(options: list[str], message: str) -> None:
    """One line says what is wrong, without a password of the URL."""
    ran = CliRunner().invoke(cli, ["tail", "--port", "4400", *options])
    assert "canary" not in ran.output
    assert "ary@" not in ran.output
    assert ran.exit_code in {1, 2}
    assert message in ran.output.splitlines()[-1]
