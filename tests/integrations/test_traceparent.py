"""Under the real servers, an outsider can neither switch our events off nor force our spans to be sampled."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from backends import Span, free_port, wait_until
from heliograph import Host, Settings
from otlp_receiver import Receiver
from packages import require
from processes import EXAMPLES, Server, http_client, otlp, program_environment, serving

SECRET = "the secret of the examples"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
FLAGS = ("00", "01", "00", "01")
FRAMEWORKS = {
    "starlette": ("starlette", "uvicorn", "/users/{username}/ban"),
    "fastapi": ("fastapi", "uvicorn", "/users/{username}/ban"),
    "flask": ("flask", "gunicorn", "/users/<username>/ban"),
    "django": ("django", "gunicorn", "/users/<username>/ban"),
    "asgidjango": ("django", "uvicorn", "/users/<username>/ban"),
}


def requests_of_an_outsider(server: Server, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}", "tracestate": "vendor=secret", "baggage": "user.id=mallory"}
    with http_client(server.url) as client:
        for flags in FLAGS:
            headers["traceparent"] = f"00-{TRACE}-{PARENT}-{flags}"
            answer = client.post("/users/bot/ban?key=secret", headers=headers)
            assert answer.status_code == 200, server.output()


def arrived(tmp_path: Path, framework: str, kind: str, sampler: str) -> tuple[list[str], list[Span]]:
    """Run an application of `traced_apps`, and return the trace ids of its events, and its SERVER spans."""
    package, kind_of_server, _ = FRAMEWORKS[framework]
    require(package)
    require("gunicorn")
    port = free_port()
    app = f"integrations.traced_apps:{framework}_{kind}"
    command = [sys.executable, "-m", kind_of_server, app]
    command += ["--bind", f"127.0.0.1:{port}"] if kind_of_server == "gunicorn" else ["--port", str(port)]
    with Host(Settings(secret=(SECRET,))) as host:
        token = host.call(host.create_token, "root")
    with Receiver() as receiver:
        environment = program_environment(
            **otlp(receiver.endpoint),
            HELIOGRAPH_SECRET=SECRET,
            HELIOGRAPH_FLUSH_TIMEOUT_MILLIS="20000",
            FORUM_DATABASE=str(tmp_path / "forum.db"),
            OTEL_TRACES_SAMPLER=f"parentbased_{sampler}",
        )
        environment["PYTHONPATH"] += f":{EXAMPLES}"
        with serving(command, port=port, log=tmp_path / "log", env=environment, cwd=tmp_path, fresh=False) as server:
            requests_of_an_outsider(server, token)

            def events() -> list[str]:
                return [str(log.trace_id) for log in receiver.logs() if log.event_name == "forum.ban_user"]

            def spans() -> list[Span]:
                return [span for span in receiver.spans() if span.kind == "SERVER"]

            # Before the end: Django has no lifespan, so that nothing flushes under uvicorn.
            wait_until(lambda: len(events()) == len(FLAGS), timeout_seconds=60)
            if sampler == "always_on":
                expected = len(FLAGS) if kind == "with_spans" else FLAGS.count("01")
                wait_until(lambda: len(spans()) >= expected, timeout_seconds=60)
        assert b"mallory" not in receiver.raw()
        if kind == "with_spans":
            assert b"secret" not in receiver.raw()
        return events(), spans()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_request_spans_are_linked_and_not_trusted(tmp_path: Path, framework: str) -> None:
    """Each is a root with a link. Events are in its trace, whatever the client asks for."""
    traces, spans = arrived(tmp_path, framework, "with_spans", "always_on")

    assert [(span.parent_id, span.links) for span in spans] == [(None, ((TRACE, PARENT),))] * len(FLAGS)
    assert traces == [span.trace_id for span in spans]
    assert TRACE not in traces
    route = FRAMEWORKS[framework][2]
    assert [span.name for span in spans] == [f"POST {route}"] * len(FLAGS)
    of_http = {name: value for name, value in spans[0].attributes.items() if not name.startswith("heliograph.")}
    assert of_http == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": route,
        "url.path": "/users/bot/ban",
        "url.scheme": "http",
    }
    assert {(span.status, span.scope) for span in spans} == {("UNSET", "heliograph")}


@pytest.mark.parametrize("framework", ["starlette", "flask", "django"])
def test_sampling_cannot_be_forced(tmp_path: Path, framework: str) -> None:
    """The sampler decides as for any request. Events are emitted in any case."""
    traces, spans = arrived(tmp_path, framework, "with_spans", "always_off")

    assert (len(traces), spans) == (len(FLAGS), [])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_instrumentation_that_trusts_traceparent(tmp_path: Path, framework: str) -> None:
    """Spans are recorded as the client says. Events are emitted in any case, in the client's trace."""
    traces, spans = arrived(tmp_path, framework, "instrumented", "always_on")

    assert traces == [TRACE] * len(FLAGS)
    assert [span.trace_id for span in spans] == [TRACE] * FLAGS.count("01")
