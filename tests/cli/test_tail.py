"""`heliograph tail` prints each event as it arrives."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.tails import EXIT_SECONDS, tailing
from forked import run
from heliograph.cli.main import cli
from processes import otlp, program_environment
from receiver.requests import TRACE, log_request, span_request

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
    """An event has to match one of the values of each option."""
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
    """Characters that the encoding lacks are escaped, and the printing goes on."""
    with tailing(tmp_path, fresh=True, PYTHONIOENCODING="latin-1") as tail:
        tail.send(log_request("app.one"), log_request("app.two"))
        lines = tail.wait_for_lines(2)

    assert lines[0].split()[1:] == ["app.one", "\\u2013", "app.one"]


def test_event_that_arrives_twice_is_printed_once(tmp_path: Path) -> None:
    """An event may arrive as a log record, as a span event, and again."""
    event = log_request("app.one", log__record__uid="u1")
    with tailing(tmp_path) as tail:
        tail.send(event, span_request("GET /", "app.one", uid="u1"), event, log_request("app.two"))
        lines = tail.wait_for_lines(2)

    assert [line.split()[1] for line in lines] == ["app.one", "app.two"]


def test_timeout_needs_an_awaited_event() -> None:
    """Without an awaited event, the command runs until it is stopped."""
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
