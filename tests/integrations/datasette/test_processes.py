"""A real Datasette server exports as the environment asks, works beside other telemetry plugins, and stops in time."""

from __future__ import annotations

import itertools
import shutil
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from arrived import credential, shares, without_uid
from backends import LogRecord, free_port
from forked import run
from heliograph import Host, Settings
from integrations.datasette.writable import ARGUMENTS, SECRET, create_table, good_token, prepare
from integrations.mixed_actors import ACTORS, assert_none_is_mixed
from otlp_receiver import Receiver
from processes import DATASETTE, EXAMPLES, Server, clean_environment, datasette, otlp

EXPORTER = "datasette-otel-otlp-exporter"
"""Another plugin, which sends spans."""

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


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The directory of a Datasette, with a plugin that has a page which lists the providers."""
    prepare_with_probe(tmp_path)
    return tmp_path


def prepare_with_probe(directory: Path) -> None:
    prepare(directory)
    (directory / "plugins" / "probe.py").write_text(PROBE)


def test_dormant_without_otel_variables(directory: Path) -> None:
    """Without `OTEL_*` variables no provider is set and the SDK is not imported. Requests succeed."""
    with datasette(directory, *ARGUMENTS, secret=SECRET, fresh=True) as server:
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


@pytest.mark.parametrize(
    "order", list(itertools.permutations(["heliograph", EXPORTER])), ids=lambda order: f"{order[0]} first"
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


@dataclass(frozen=True)
class Exporting:
    """Answers of a Datasette that exported to a receiver, and what it had printed at its end.

    It has `examples/forum.py` in its folder of plugins. The first ban was made with `token`; the others, at once, with tokens of
    20 actors and without one.
    """

    receiver: Receiver
    token: str
    forged: str
    modules: list[str]
    statuses: dict[str, list[int]]
    output: str

    def logs(self, name: str) -> list[LogRecord]:
        return [log for log in self.receiver.logs() if log.event_name == name]


@pytest.fixture(scope="module")
def exporting(tmp_path_factory: pytest.TempPathFactory) -> Exporting:
    """All requests of the tests below, to one server, which then gets SIGTERM."""
    directory = tmp_path_factory.mktemp("exporting")
    prepare_with_probe(directory)
    shutil.copy(EXAMPLES / "forum.py", directory / "plugins")
    token = good_token()
    with Host(Settings(secret=("another",))) as host:
        forged = host.call(host.create_token, "alice", expires_after=600)
    with Receiver() as receiver:
        variables = otlp(receiver.endpoint, HELIOGRAPH_FLUSH_TIMEOUT_MILLIS="20000")
        with datasette(directory, *ARGUMENTS, secret=SECRET, **variables) as server:
            modules = server.get("/-/probe").json["modules"]
            row = {"table": "t", "row": {"a": 1}}
            statuses = {
                "create": [create_table(server)],
                "good and forged": [server.post("/data/-/create", row, each).status for each in (token, forged)],
                "ban": [server.get("/-/ban", token).status],
                "at once": ban_at_once(server),
            }
            assert server.stop() in {0, -15}, server.output()
    return Exporting(receiver, token, forged, modules, statuses, server.output())


def ban_at_once(server: Server) -> list[int]:
    with Host(Settings(secret=(SECRET,))) as host:
        tokens = [host.call(host.create_token, f"actor{number}") for number in range(ACTORS)]

    def ban(number: int) -> int:
        is_anonymous = number % 10 == 9
        name = f"{'' if is_anonymous else f'actor{number % ACTORS}'}-{number}"
        return server.get(f"/-/ban/{name}", None if is_anonymous else tokens[number % ACTORS]).status

    with ThreadPoolExecutor(ACTORS) as clients:
        return list(clients.map(ban, range(200)))


def test_all_signals_arrive_when_an_endpoint_is_set(exporting: Exporting) -> None:
    """With an endpoint, the plugin sets all three providers. On SIGTERM everything is sent, the spans of the startup included."""
    spans = exporting.receiver.spans()

    assert exporting.modules == ["heliograph.sdk.signal_providers"] * 3
    assert exporting.statuses["create"] == [201]
    assert Counter(record.event_name for record in exporting.receiver.logs()) == {
        "datasette.create_table": 2,
        "datasette.insert_rows": 1,
        "forum.ban_user": 201,
        "heliograph.token_rejected": 1,
    }
    assert {"datasette.startup", "token.verify"} <= {span.name for span in spans}
    assert "heliograph.events" in {metric.name for metric in exporting.receiver.metrics()}
    assert {span.resource["service.name"] for span in spans} == {"datasette"}
    assert max(Counter(span.span_id for span in spans).values()) == 1
    assert "heliograph" not in exporting.output


def test_plugin_of_the_examples_runs_unchanged(exporting: Exporting) -> None:
    """`examples/forum.py` in Datasette's plugins folder tracks typed events, with the actor of the request."""
    record, *_ = exporting.logs("forum.ban_user")

    assert exporting.statuses["ban"] == [200]
    assert (record.event_name, record.severity_number, record.body) == ("forum.ban_user", 13, "alice banned spambot")
    expected = {"forum.ban_user.user.username": "spambot", "user.id": "alice", **credential(exporting.token)}
    assert without_uid(record) == expected


def test_no_part_of_a_token_is_on_the_wire(exporting: Exporting) -> None:
    """No request body and no output contains twelve successive characters of a token, valid or forged."""
    assert exporting.statuses["good and forged"] == [201, 401]
    sent = exporting.receiver.raw()
    assert b"token.verify" in sent
    tokens = (exporting.token, exporting.forged)
    assert [part for token in tokens for part in shares(token) if part.encode() in sent] == []
    assert "dstok_" not in exporting.output


def test_200_requests_at_once_have_their_own_actors(exporting: Exporting) -> None:
    """20 actors, by their tokens, and nobody in between: no event has another request's actor."""
    assert exporting.statuses["at once"] == [200] * 200
    assert_none_is_mixed(exporting.logs("forum.ban_user")[1:], 200)
