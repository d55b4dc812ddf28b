"""The programs of `examples/`, as real processes, export to a real Collector, which forwards to a real Jaeger."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest

from arrived import Arrived, assert_same_event, below, credential, server_spans, without_uid
from backends import Collector, Jaeger, Span, free_port
from heliograph import Host, Settings, SignedTokenHandler
from heliograph.semconv import OWN_EVENTS
from processes import EXAMPLES, clean_environment, otlp, run, serving

SECRET = "the secret that the examples share"

FASTAPI = ["uvicorn", "--app-dir", str(EXAMPLES), "fastapi_app:app", "--port"]
FLASK = ["flask", "--app", str(EXAMPLES / "flask_app.py"), "run", "--port"]

WEB_APPS = pytest.mark.parametrize(
    ("module", "stop"),
    [
        pytest.param(FASTAPI, signal.SIGTERM, id="fastapi"),
        pytest.param(FLASK, signal.SIGINT, id="flask"),  # its development server handles no other
    ],
)

EVENTS = {
    "/users/cleverbot/ban": ("forum.ban_user", 13, "root banned cleverbot"),
    "/users/cleverbot/unban": ("forum.unban_user", 9, "root forgave cleverbot"),
}
REJECTED = {"/users/forger/ban": "invalid", "/users/latecomer/ban": "expired", "/users/stranger/ban": "unrecognized"}


@pytest.fixture
def arrived(collector: Collector, jaeger: Jaeger) -> Arrived:
    """The telemetry that arrives from a service that only this test uses."""
    return Arrived(f"forum-{uuid4()}", collector, jaeger)


@pytest.fixture(scope="module")
def tokens() -> dict[str, str]:
    """A token for each result of a verification."""
    with Host(Settings(secret=(SECRET,))) as host, Host(Settings(secret=("another",))) as forger:
        an_hour_ago = SignedTokenHandler(clock=lambda: time.time() - 3600)
        return {
            "valid": host.call(host.create_token, "root"),
            "invalid": forger.call(forger.create_token, "root"),
            "expired": host.call(an_hour_ago.create_token, host, "root", expires_after=60),
            "unrecognized": "a-token-of-another-program",
        }


def environment(arrived: Arrived, **variables: str) -> dict[str, str]:
    telemetry = otlp(arrived.collector.otlp_http_endpoint, OTEL_SERVICE_NAME=arrived.service)
    return clean_environment(HELIOGRAPH_SECRET=SECRET, **telemetry, **variables)


@WEB_APPS
def test_telemetry_of_a_web_app_arrives(
    module: list[str], stop: signal.Signals, arrived: Arrived, tokens: dict[str, str], tmp_path: Path
) -> None:
    """Each request is one trace: the HTTP span with the event, and `token.verify` below it. The event is one log record too."""
    port = free_port()
    command = [sys.executable, "-m", *module, str(port)]
    with serving(command, port=port, log=tmp_path / "log", env=environment(arrived), cwd=tmp_path) as server:
        statuses = [server.post(path, token=tokens["valid"]).status for path in EVENTS]
        rejected = [server.post(path, token=tokens[result]).status for path, result in REJECTED.items()]
        without = server.post("/users/nobody/ban").status
        server.stop(stop)

    assert statuses == [200, 200]
    assert rejected == [401, 401, 401]
    assert without == 401
    assert "Traceback" not in server.output()
    traces = arrived.traces()
    arrived_records = [record for record in arrived.logs() if record.event_name not in OWN_EVENTS]
    records = {record.event_name: record for record in arrived_records}
    assert len(records) == len(arrived_records) == len(EVENTS)
    for path, (name, severity, body) in EVENTS.items():
        [(http, trace)] = server_spans(traces, path)
        [verify] = below(http, "token.verify", trace)
        [event] = [event for event in http.events if event.name == name]
        assert verify.attributes == {
            **credential(tokens["valid"]),
            "heliograph.token.key_number": 0,
            "heliograph.token.result": "valid",
            "user.id": "root",
        }
        assert credential(tokens["valid"]).items() <= http.attributes.items()
        assert without_uid(event) == {
            **credential(tokens["valid"]),
            f"{name}.user.username": "cleverbot",
            "user.id": "root",
        }
        assert_same_event(records[name], event, http)
        assert (records[name].severity_number, records[name].body) == (severity, body)
    for path, result in REJECTED.items():
        [(http, trace)] = server_spans(traces, path)
        [verify] = below(http, "token.verify", trace)
        known = {
            "expired": credential(tokens["expired"]),
            "invalid": {"heliograph.token.handler": "signed"},
            "unrecognized": {},
        }
        assert verify.attributes == {**known[result], "heliograph.token.result": result}
        # The event of the rejection is tracked off the request, so it is a span event only if the span has not ended by then.
        assert {event.name for event in http.events} <= OWN_EVENTS
    arrived.assert_free_of(tokens.values())


def test_telemetry_of_a_script_arrives(arrived: Arrived, tokens: dict[str, str], tmp_path: Path) -> None:
    """Each run is one trace. A run accepts the token that an earlier run created, and fails with the reason if it rejects one."""

    def script(*arguments: str, token: str = "") -> tuple[int, str, str]:
        command = [sys.executable, str(EXAMPLES / "script.py"), *arguments]
        ended = run(command, cwd=tmp_path, env=environment(arrived, FORUM_TOKEN=token))
        return ended.returncode, ended.stdout.strip(), ended.stderr.strip()

    status, token, stderr = script("create-token", "root")
    assert (status, stderr) == (0, "")
    assert script("ban", "cleverbot", "spambot", token=token) == (0, "", "")
    assert script("ban", "cleverbot", token=tokens["invalid"]) == (1, "", "Invalid token signature")
    assert script("ban", "cleverbot", token=tokens["expired"]) == (1, "", "Token has expired")
    assert script("ban", "cleverbot", token=tokens["unrecognized"]) == (1, "", "Unknown token")

    roots: dict[object, Span] = {}
    for trace in arrived.traces():
        [root] = [span for span in trace if span.parent_id is None]
        [operation] = [*below(root, "token.create", trace), *below(root, "token.verify", trace)]
        roots[operation.attributes["heliograph.token.result"]] = root
    assert {result: root.name for result, root in roots.items()} == {
        "created": "create-token",
        "valid": "ban",
        "invalid": "ban",
        "expired": "ban",
        "unrecognized": "ban",
    }
    bans = {result: [event for event in root.events if event.name not in OWN_EVENTS] for result, root in roots.items()}
    assert [result for result, events in bans.items() if events] == ["valid"]
    banned = roots["valid"]
    assert [without_uid(event) for event in bans["valid"]] == [
        {**credential(token), "forum.ban_user.user.username": username, "user.id": "root"}
        for username in ("cleverbot", "spambot")
    ]
    arrived_records = [record for record in arrived.logs() if record.event_name not in OWN_EVENTS]
    assert len(arrived_records) == 2
    for record, event in zip(arrived_records, bans["valid"]):
        assert_same_event(record, event, banned)
    arrived.assert_free_of([token, *tokens.values()])
