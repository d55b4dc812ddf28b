"""A real Datasette server exports as the environment asks, works beside other telemetry plugins, and stops in time."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import socket
import sqlite3
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from arrived import credential, shares, without_uid
from backends import free_port, wait_until
from heliograph import Host, Settings
from integrations.mixed_actors import ACTORS, assert_none_is_mixed
from otlp_receiver import Receiver
from processes import DATASETTE, EXAMPLES, Server, clean_environment, datasette, otlp, run

SECRET = "the secret of the processes"

PROBE = """
import asyncio, sys
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
    async def ban_slowly(datasette, request):
        await asyncio.sleep(0.01)
        event = pm.get_plugin("forum.py").BanUserEvent(user={"username": request.url_vars["username"]})
        await datasette.track_event(event)
        return Response.json({})
    return [("^/-/probe$", providers), ("^/-/ban$", ban), ("^/-/ban/(?P<username>.*)$", ban_slowly)]
"""

OTLP_SIBLING, VIEWER, PROMETHEUS = (
    "datasette-otel-otlp-exporter",
    "datasette-otel-viewer",
    "datasette-otel-prometheus",
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The directory of a Datasette: a database `data`, a configuration, and a plugin with a page that lists the providers."""
    with closing(sqlite3.connect(tmp_path / "data.db")) as connection:
        connection.execute("vacuum")
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "probe.py").write_text(PROBE)
    configure(tmp_path, {})
    return tmp_path


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that receives telemetry."""
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


def test_dormant_without_otel_variables(directory: Path) -> None:
    """Without `OTEL_*` variables no provider is set and the SDK is not imported. Requests succeed."""
    with datasette(directory, *ARGUMENTS, secret=SECRET) as server:
        found = server.get("/-/probe").json
        created = create_table(server)

    assert created == 201
    assert not any(module.startswith("opentelemetry.sdk") or "heliograph" in module for module in found["modules"])
    assert found["sdk"] is False


@pytest.mark.parametrize(
    "variables",
    [{"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, {"OTEL_SERVICE_NAME": "x"}],
    ids=["disabled", "only a service name"],
)
def test_dormant_if_the_environment_does_not_ask_for_export(directory: Path, variables: dict[str, str]) -> None:
    """No provider is set if `OTEL_SDK_DISABLED` is true, or if no variable names an endpoint or an exporter.

    Only the second may be a mistake: an event then logs how to export.
    """
    with datasette(directory, *ARGUMENTS, secret=SECRET, **variables) as server:
        found = server.get("/-/probe").json
        assert create_table(server) == 201
        server.stop()

    assert not any("sdk" in module for module in found["modules"])
    assert ("No LoggerProvider is set" in server.output()) == ("OTEL_SDK_DISABLED" not in variables)


def test_all_signals_arrive_when_an_endpoint_is_set(directory: Path, receiver: Receiver) -> None:
    """With an endpoint, the plugin sets all three providers. On SIGTERM everything is sent, the spans of the startup included."""
    with datasette(directory, *ARGUMENTS, secret=SECRET, **otlp(receiver.endpoint)) as server:
        found = server.get("/-/probe").json
        created = create_table(server)
        server.stop()

    assert found["modules"] == ["heliograph.sdk.providers"] * 3
    assert created == 201
    assert [record.event_name for record in receiver.logs()] == ["datasette.create_table"]
    assert {"datasette.startup", "token.verify"} <= {span.name for span in receiver.spans()}
    assert "heliograph.events" in {metric.name for metric in receiver.metrics()}
    assert {span.resource["service.name"] for span in receiver.spans()} == {"datasette"}
    assert max(Counter(span.span_id for span in receiver.spans()).values()) == 1
    assert "heliograph" not in server.output()


def test_get_command_sends_its_telemetry_at_exit(directory: Path, receiver: Receiver) -> None:
    """`datasette --get` calls no `shutdown` hook: its telemetry is sent when the interpreter exits."""
    command = [*DATASETTE, *ARGUMENTS, "--secret", SECRET, "--get", "/data.json"]
    environment = clean_environment(DATASETTE_LOAD_PLUGINS="heliograph", **otlp(receiver.endpoint))

    ended = run(command, cwd=directory, env=environment)

    assert ended.returncode == 0
    assert ended.stderr == ""
    assert "/data.json" in {span.attributes.get("url.path") for span in receiver.spans()}


@pytest.mark.parametrize("variables", [{}, {"HELIOGRAPH_TOKEN_HANDLERS": "database"}])
def test_create_token_command_sends_its_telemetry_at_exit(
    directory: Path, receiver: Receiver, variables: dict[str, str]
) -> None:
    """The span and the event of the creation have arrived when the command ends. It has no option for the internal database."""
    command = [*DATASETTE, "create-token", "root", "--secret", SECRET]
    environment = clean_environment(DATASETTE_LOAD_PLUGINS="heliograph", **variables, **otlp(receiver.endpoint))

    ended = run(command, cwd=directory, env=environment)

    [span] = [span for span in receiver.spans() if span.name == "token.create"]
    assert (ended.returncode, ended.stderr) == (0, "")
    assert span.attributes["heliograph.token.handler"] == "signed"
    assert [record.event_name for record in receiver.logs()] == ["heliograph.token_created"]
    assert ended.stdout.strip().encode() not in receiver.raw()


def test_create_token_command_ends_while_the_backend_does_not_answer(directory: Path) -> None:
    """The token is printed, whatever happens to the telemetry."""
    command = [*DATASETTE, "create-token", "root", "--secret", SECRET]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = clean_environment(DATASETTE_LOAD_PLUGINS="heliograph", **otlp(endpoint))
        ended = run(command, cwd=directory, env=environment)

    assert (ended.returncode, ended.stdout[:6]) == (0, "dstok_")


def test_plugin_of_the_examples_runs_unchanged(directory: Path, receiver: Receiver) -> None:
    """`examples/forum.py` in Datasette's plugins folder tracks typed events, with the actor of the request."""
    shutil.copy(EXAMPLES / "forum.py", directory / "plugins")

    with datasette(directory, *ARGUMENTS, secret=SECRET, **otlp(receiver.endpoint)) as server:
        token = good_token()
        assert server.get("/-/ban", token).status == 200
        server.stop()

    [record] = receiver.logs()
    assert (record.event_name, record.severity_number, record.body) == ("forum.ban_user", 13, "alice banned spambot")
    expected = {"forum.ban_user.user.username": "spambot", "user.id": "alice", **credential(token)}
    assert without_uid(record) == expected
    assert "heliograph" not in server.output()


def test_no_part_of_a_token_is_on_the_wire(directory: Path, receiver: Receiver) -> None:
    """No request body and no output contains twelve successive characters of a token, valid or forged."""
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
    assert "dstok_" not in server.output()


@pytest.fixture
def nobody() -> str:
    """An endpoint without a server."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def silence() -> Iterator[str]:
    """An endpoint that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("endpoint", ["nobody", "silence"])
def test_backend_that_is_down_fails_no_request_and_does_not_delay_the_stop(
    directory: Path, endpoint: str, request: pytest.FixtureRequest
) -> None:
    """Writes succeed at once. SIGTERM stops the server within the timeout, and a warning reports the loss.

    A request to the backend may take ten minutes here, so whatever waits for it takes longer than the limit of this test.
    """
    where = otlp(
        request.getfixturevalue(endpoint), HELIOGRAPH_FLUSH_TIMEOUT_MILLIS="700", OTEL_EXPORTER_OTLP_TIMEOUT="600"
    )
    with datasette(directory, *ARGUMENTS, secret=SECRET, **where) as server:
        before = time.monotonic()
        assert [create_table(server, f"table{n}") for n in range(3)] == [201] * 3
        server.stop()
        ended = time.monotonic()

    assert ended - before < 20
    assert "Not all telemetry was delivered within 700 ms" in server.output()


# The only order in which the siblings work together: the viewer has to own the TracerProvider, which the exporter
# joins, and Prometheus has to own the MeterProvider.
SIBLINGS = (PROMETHEUS, VIEWER, OTLP_SIBLING)
LOAD_ORDERS = [[*SIBLINGS[:position], "heliograph", *SIBLINGS[position:]] for position in range(4)]


@pytest.mark.parametrize("order", LOAD_ORDERS, ids=lambda order: f"{order.index('heliograph') + 1}. of 4")
def test_all_siblings_work_and_no_span_is_sent_twice(directory: Path, receiver: Receiver, order: list[str]) -> None:
    """The plugin may be loaded before, between or after its three siblings.

    The exporter sends each span once, with our events on them. The viewer keeps the spans. Prometheus fetches our metrics.
    The plugin exports each event as a log record.
    """
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
    assert {**record.attributes, "otel.event.name": "datasette.create_table"} == event.attributes
    assert "disabled" not in server.output()


@pytest.mark.parametrize(
    ("chosen", "count"), [({}, 1), ({"OTEL_TRACES_EXPORTER": "none"}, 0)], ids=["unsaid", "intended"]
)
def test_spans_that_a_sibling_keeps_are_a_warning(
    directory: Path, receiver: Receiver, chosen: dict[str, str], count: int
) -> None:
    """With the viewer, an endpoint gets the log records and no span. The log says so once, and how to change it."""
    variables = {**otlp(receiver.endpoint), **chosen}
    with datasette(directory, *ARGUMENTS, secret=SECRET, plugins=f"heliograph,{VIEWER}", **variables) as server:
        assert create_table(server) == 201
        server.stop()

    assert receiver.spans() == []
    assert len(receiver.logs()) == 1
    warned = [line for line in server.output().splitlines() if "Spans, and the events in them, go to" in line]
    assert len(warned) == count
    assert all(f"go to {VIEWER} and not to an OTLP endpoint" in line for line in warned)


def test_outbox_beside_a_sibling_that_keeps_spans_is_one_warning(directory: Path, receiver: Receiver) -> None:
    """It says where the spans go, and names the one way to get them into the outbox."""
    variables = {**otlp(receiver.endpoint), "HELIOGRAPH_OUTBOX": str(directory / "outbox")}
    with datasette(directory, *ARGUMENTS, secret=SECRET, plugins=f"heliograph,{VIEWER}", **variables) as server:
        server.stop()

    [warned] = [line for line in server.output().splitlines() if "outbox" in line or "DATASETTE_LOAD_PLUGINS" in line]
    assert f"go to {VIEWER} and not to an OTLP endpoint, nor to the outbox" in warned
    assert f"list the plugins to load in DATASETTE_LOAD_PLUGINS without {VIEWER}" in warned


def test_outbox_beside_a_sibling_that_takes_the_spans_is_a_warning(directory: Path, receiver: Receiver) -> None:
    """Spans do not go to it: a process has one TracerProvider. The log names the call that adds the outbox's processor."""
    box = str(directory / "outbox")
    variables = {**otlp(receiver.endpoint), "HELIOGRAPH_OUTBOX": box}
    with datasette(directory, *ARGUMENTS, secret=SECRET, plugins=f"heliograph,{OTLP_SIBLING}", **variables) as server:
        server.stop()

    [warned] = [line for line in server.output().splitlines() if "the setting `outbox` has no effect" in line]
    assert f"`provider.add_span_processor(OutboxSpanProcessor({box!r}))`" in warned


@pytest.mark.parametrize(
    "order", list(itertools.permutations(["heliograph", OTLP_SIBLING])), ids=lambda order: f"{order[0]} first"
)
def test_beside_the_exporter_alone_no_span_is_sent_twice(directory: Path, receiver: Receiver, order: list[str]) -> None:
    """Each span arrives once, whichever plugin is imported first. Logs and metrics arrive too."""
    with datasette(directory, *ARGUMENTS, secret=SECRET, plugins=",".join(order), **otlp(receiver.endpoint)) as server:
        assert create_table(server) == 201
        server.stop()

    assert max(Counter(span.span_id for span in receiver.spans()).values()) == 1
    assert {"datasette.startup", "token.verify"} <= {span.name for span in receiver.spans()}
    assert [record.event_name for record in receiver.logs()] == ["datasette.create_table"]
    assert "heliograph.events" in {metric.name for metric in receiver.metrics()}


def scrape(port: int) -> str | None:
    """Return the metrics that Prometheus would fetch, or `None` until our counter is among them."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        text: str = response.read().decode()
    return text if "heliograph_events" in text else None


def spans_in_the_viewers_file(directory: Path) -> set[str] | None:
    """Return the names of the spans that the viewer has stored, or `None` until `token.verify` is among them."""
    with closing(sqlite3.connect(directory / "otel.db")) as connection:
        names = {name for (name,) in connection.execute("select name from spans")}
    return names if "token.verify" in names else None


def test_200_requests_at_once_have_their_own_actors(directory: Path, receiver: Receiver) -> None:
    """20 actors, by their tokens, and nobody in between: no event has another request's actor."""
    shutil.copy(EXAMPLES / "forum.py", directory / "plugins")
    with Host(Settings(secret=(SECRET,))) as host:
        tokens = [host.call(host.create_token, f"actor{number}") for number in range(ACTORS)]

    def ban(server: Server, number: int) -> int:
        is_anonymous = number % 10 == 9
        name = f"{'' if is_anonymous else f'actor{number % ACTORS}'}-{number}"
        return server.get(f"/-/ban/{name}", None if is_anonymous else tokens[number % ACTORS]).status

    variables = otlp(receiver.endpoint, HELIOGRAPH_FLUSH_TIMEOUT_MILLIS="20000")
    with datasette(directory, *ARGUMENTS, secret=SECRET, **variables) as server:
        with ThreadPoolExecutor(ACTORS) as clients:
            assert list(clients.map(lambda number: ban(server, number), range(200))) == [200] * 200
        assert server.stop() in {0, -15}, server.output()
    assert_none_is_mixed([log for log in receiver.logs() if log.event_name == "forum.ban_user"], 200)
