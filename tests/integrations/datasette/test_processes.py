"""A real Datasette server exports as the environment says, works with other plugins, and ends in time."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import socket
import sqlite3
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from arrived import shares, without_uid
from backends import free_port, wait_until
from heliograph import Host, Settings
from otlp_receiver import Receiver
from processes import EXAMPLES, Server, clean_environment, datasette, otlp, run

SECRET = "the secret of the processes"

PROBE = """
import sys
from datasette import Response, hookimpl
from datasette.plugins import pm
from opentelemetry import _logs, metrics, trace

@hookimpl
def register_routes():
    async def providers():
        found = trace.get_tracer_provider(), _logs.get_logger_provider(), metrics.get_meter_provider()
        return Response.json({
            "modules": [type(provider).__module__ for provider in found],
            "sdk": "heliograph.sdk.setup" in sys.modules,
        })
    async def ban(datasette):
        event = pm.get_plugin("forum.py").BanUserEvent(user={"username": "spambot"})
        await datasette.track_event(event)
        return Response.json({})
    return [("^/-/probe$", providers), ("^/-/ban$", ban)]
"""

OTLP_SIBLING, VIEWER, PROMETHEUS = (
    "datasette-otel-otlp-exporter",
    "datasette-otel-viewer",
    "datasette-otel-prometheus",
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where a Datasette lives: a database `data`, a plugin that says which providers are set, a configuration."""
    with closing(sqlite3.connect(tmp_path / "data.db")) as connection:
        connection.execute("vacuum")
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "probe.py").write_text(PROBE)
    configure(tmp_path, {})
    return tmp_path


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An endpoint for telemetry."""
    with Receiver() as receiver:
        yield receiver


ARGUMENTS = ("data.db", "--plugins-dir", "plugins", "--config", "datasette.json")


def configure(directory: Path, plugins: dict[str, dict[str, object]]) -> None:
    permissions = {action: {"id": "alice"} for action in ("create-table", "insert-row", "drop-table")}
    (directory / "datasette.json").write_text(json.dumps({"permissions": permissions, "plugins": plugins}))


def good_token() -> str:
    with Host(Settings(secret=(SECRET,))) as host:
        return host.call(host.create_token, "alice")


def create_table(server: Server, table: str = "plants") -> int:
    body = {"table": table, "columns": [{"name": "id", "type": "integer"}], "pk": "id"}
    return server.post("/data/-/create", body, good_token()).status


def test_dormant_without_a_word_of_where_to_send(directory: Path) -> None:
    """Without `OTEL_*` variables no provider is set, and the SDK is not even imported; requests work as ever."""
    with datasette(directory, *ARGUMENTS, secret=SECRET) as server:
        found = server.get("/-/probe").json
        created = create_table(server)

    assert created == 201
    assert not any(module.startswith("opentelemetry.sdk") or "heliograph" in module for module in found["modules"])
    assert found["sdk"] is False


@pytest.mark.parametrize(
    "variables",
    [{"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, {"OTEL_SERVICE_NAME": "x"}],
    ids=["disabled", "only named"],
)
def test_dormant_where_the_environment_does_not_ask_for_export(directory: Path, variables: dict[str, str]) -> None:
    """`OTEL_SDK_DISABLED`, or variables that name no endpoint and no exporter, set no provider."""
    with datasette(directory, *ARGUMENTS, secret=SECRET, **variables) as server:
        found = server.get("/-/probe").json

    assert not any("sdk" in module for module in found["modules"])


def test_all_signals_arrive_when_an_endpoint_is_set(directory: Path, receiver: Receiver) -> None:
    """With an endpoint all three providers are ours; SIGTERM ends the server with everything sent, startup included."""
    with datasette(directory, *ARGUMENTS, secret=SECRET, **otlp(receiver.endpoint)) as server:
        found = server.get("/-/probe").json
        created = create_table(server)
        server.stop()

    assert found["modules"] == ["heliograph.sdk.export_counts"] * 3
    assert created == 201
    assert [record.event_name for record in receiver.logs()] == ["datasette.create_table"]
    assert {"datasette.startup", "token.verify"} <= {span.name for span in receiver.spans()}
    assert "heliograph.events" in {metric.name for metric in receiver.metrics()}
    assert {span.resource["service.name"] for span in receiver.spans()} == {"datasette"}
    assert max(Counter(span.span_id for span in receiver.spans()).values()) == 1
    assert "heliograph" not in server.said()


def test_command_that_answers_one_request_sends_all(directory: Path, receiver: Receiver) -> None:
    """`datasette --get` runs no `shutdown` hook: what it held is sent when the interpreter ends."""
    command = [sys.executable, "-m", "datasette", *ARGUMENTS, "--secret", SECRET, "--get", "/data.json"]
    environment = clean_environment(DATASETTE_LOAD_PLUGINS="heliograph", **otlp(receiver.endpoint))

    ended = run(command, cwd=directory, env=environment)

    assert ended.returncode == 0
    assert ended.stderr == ""
    assert "/data.json" in {span.attributes.get("url.path") for span in receiver.spans()}


def test_plugin_of_the_examples_runs_unchanged(directory: Path, receiver: Receiver) -> None:
    """`examples/forum.py`, in Datasette's plugins folder, has its events typed, and made by the request's actor."""
    shutil.copy(EXAMPLES / "forum.py", directory / "plugins")

    with datasette(directory, *ARGUMENTS, secret=SECRET, **otlp(receiver.endpoint)) as server:
        assert server.get("/-/ban", good_token()).status == 200
        server.stop()

    [record] = receiver.logs()
    assert (record.event_name, record.severity_number, record.body) == ("forum.ban_user", 13, "alice banned spambot")
    assert without_uid(record) == {"forum.ban_user.user.username": "spambot", "user.id": "alice"}
    assert "heliograph" not in server.said()


def test_no_part_of_a_token_is_on_the_wire(directory: Path, receiver: Receiver) -> None:
    """Twelve characters of a token in a row are in no byte that leaves the process, of good ones and of bad ones."""
    with Host(Settings(secret=("another",))) as host:
        forged = host.call(host.create_token, "alice", expires_after=600)
    good = good_token()

    with datasette(directory, *ARGUMENTS, secret=SECRET, **otlp(receiver.endpoint)) as server:
        statuses = [
            server.post("/data/-/create", {"table": "t", "row": {"a": 1}}, token).status for token in (good, forged)
        ]
        server.stop()

    assert statuses == [201, 401]
    sent = receiver.raw()
    assert b"token.verify" in sent
    assert [part for token in (good, forged) for part in shares(token) if part.encode() in sent] == []
    assert "dstok_" not in server.said()


@pytest.fixture
def nobody() -> str:
    """An endpoint where nobody listens."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def silence() -> Iterator[str]:
    """An endpoint that accepts connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("endpoint", ["nobody", "silence"])
def test_backend_that_is_down_fails_no_request_and_does_not_hold_up_the_end(
    directory: Path, endpoint: str, request: pytest.FixtureRequest
) -> None:
    """Writes succeed at once, and SIGTERM ends the server within the deadline, which says that something was lost."""
    where = otlp(request.getfixturevalue(endpoint), HELIOGRAPH_FLUSH_TIMEOUT_MILLIS="700")
    with datasette(directory, *ARGUMENTS, secret=SECRET, **where) as server:
        before = time.monotonic()
        assert [create_table(server, f"table{n}") for n in range(3)] == [201] * 3
        answered = time.monotonic()
        server.stop()
        ended = time.monotonic()

    assert answered - before < 2
    assert ended - answered < 3
    assert "Not all telemetry was delivered within 700 ms" in server.said()


# The order in which the siblings get on with each other: the viewer has to own the TracerProvider, which the exporter
# joins, and Prometheus has to own the MeterProvider.
SIBLINGS = (PROMETHEUS, VIEWER, OTLP_SIBLING)
LOAD_ORDERS = [[*SIBLINGS[:position], "heliograph", *SIBLINGS[position:]] for position in range(4)]


@pytest.mark.parametrize("order", LOAD_ORDERS, ids=lambda order: f"{order.index('heliograph') + 1}. of 4")
def test_siblings_each_do_their_work_and_no_span_is_sent_twice(
    directory: Path, receiver: Receiver, order: list[str]
) -> None:
    """Beside the three siblings, before, between or after them: the exporter sends each span once, the viewer keeps
    them, Prometheus is served, and our events are log records, and span events on what the exporter sends."""
    port = free_port()
    configure(directory, {PROMETHEUS: {"port": port}, VIEWER: {"self_metrics": False}})
    with datasette(directory, *ARGUMENTS, secret=SECRET, plugins=",".join(order), **otlp(receiver.endpoint)) as server:
        assert create_table(server) == 201
        scraped = wait_until(lambda: scrape(port))
        kept = wait_until(lambda: spans_in_the_viewers_file(directory))
        server.stop()

    sent = receiver.spans()
    assert max(Counter(span.span_id for span in sent).values()) == 1
    assert {"datasette.startup", "token.verify"} <= {span.name for span in sent}
    assert {"datasette.startup", "token.verify"} <= kept
    assert "\ndb_client_operation_duration_seconds_count{" in scraped
    assert re.search(r'^heliograph_events_total\{.*"datasette.create_table".*\} 1', scraped, re.MULTILINE)
    [record] = receiver.logs()
    assert record.event_name == "datasette.create_table"
    [(span, event)] = [(span, event) for span in sent for event in span.events if event.name == record.event_name]
    assert (record.trace_id, record.span_id) == (span.trace_id, span.span_id)
    assert record.attributes == event.attributes
    assert "disabled" not in server.said()


@pytest.mark.parametrize(
    "order", list(itertools.permutations(["heliograph", OTLP_SIBLING])), ids=lambda order: f"{order[0]} first"
)
def test_beside_the_exporter_alone_no_span_is_sent_twice(directory: Path, receiver: Receiver, order: list[str]) -> None:
    """The exporter and we never both send: each span arrives once, whoever is imported first, and logs and metrics do."""
    with datasette(directory, *ARGUMENTS, secret=SECRET, plugins=",".join(order), **otlp(receiver.endpoint)) as server:
        assert create_table(server) == 201
        server.stop()

    assert max(Counter(span.span_id for span in receiver.spans()).values()) == 1
    assert {"datasette.startup", "token.verify"} <= {span.name for span in receiver.spans()}
    assert [record.event_name for record in receiver.logs()] == ["datasette.create_table"]
    assert "heliograph.events" in {metric.name for metric in receiver.metrics()}


def scrape(port: int) -> str | None:
    """What Prometheus would be served, once our counter is in it."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        text: str = response.read().decode()
    return text if "heliograph_events" in text else None


def spans_in_the_viewers_file(directory: Path) -> set[str] | None:
    """The names of the spans that the viewer has written, once those of the write are among them."""
    with closing(sqlite3.connect(directory / "otel.db")) as connection:
        names = {name for (name,) in connection.execute("select name from spans")}
    return names if "token.verify" in names else None
