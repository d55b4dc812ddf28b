"""`flush` and `shutdown` of a configured host report the truth, within their timeout."""

from __future__ import annotations

import pytest

from backends import free_port
from processes import otlp
from scripts import python

WITH_SERVER = """
from servers import Misbehaving
def through(endpoint):
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
    return configure(plugins=[Plugin()])
"""
LOGS_ALONE = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}


def test_flush_is_false_with_a_dead_port() -> None:
    """If no server listens, both are False. The exporters alone would try again for an hour, and the test would fail."""
    ran = python(
        """
host = configure(Settings(flush_timeout_millis=1000), plugins=[Plugin()])
host.track(Tick(n=1))
report(flushed=host.flush(), shut=host.shutdown())
""",
        **otlp(f"http://127.0.0.1:{free_port()}", OTEL_EXPORTER_OTLP_TIMEOUT="3600"),
    )

    assert ran.only == {"flushed": False, "shut": False}


@pytest.mark.parametrize("status", [400, 503])
def test_flush_is_true_again_when_the_server_recovers(status: int) -> None:
    """A flush is False while the server rejects requests, and True for events tracked after it recovered."""
    ran = python(
        WITH_SERVER
        + """
with Misbehaving() as server, through(server.endpoint) as host:
    answers = []
    for status in (200, int(sys.argv[1]), 200):
        server.status = status
        host.track(Tick(n=1))
        answers.append(host.flush(8000))
    answers.append(host.flush())
    report(answers=answers)
""",
        str(status),
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
        **LOGS_ALONE,
    )

    assert ran.only == {"answers": [True, False, True, True]}


def test_flush_is_false_when_the_queue_dropped() -> None:
    """If a burst overflows the queue, some events are lost: one flush reports it."""
    ran = python(
        WITH_SERVER
        + """
with Misbehaving(delay_seconds=0.2) as server, through(server.endpoint) as host:
    for n in range(2000):
        host.track(Tick(n=n))
    server.delay_seconds = 0
    first = host.flush(10_000)
    host.track(Tick(n=1))
    report(answers=[first, host.flush(10_000)])
""",
        OTEL_BLRP_MAX_QUEUE_SIZE="64",
        OTEL_BLRP_MAX_EXPORT_BATCH_SIZE="16",
        **LOGS_ALONE,
    )

    assert ran.only == {"answers": [False, True]}


def test_headers_are_sent() -> None:
    """Every request has the headers that the environment sets."""
    ran = python(
        WITH_SERVER
        + """
with Misbehaving() as server, through(server.endpoint) as host:
    host.track(Tick(n=1))
    host.flush()
    report(paths=sorted({path for path, _ in server.requests}), tenants=sorted({h.get("x-tenant") for _, h in server.requests}))
""",
        OTEL_EXPORTER_OTLP_HEADERS="x-tenant=acme",
    )

    assert ran.only == {"paths": ["/v1/logs", "/v1/metrics"], "tenants": ["acme"]}


def test_deadline_holds_with_a_silent_server() -> None:
    """A server that never answers delays neither `flush` nor `shutdown`. The exporters alone would wait for an hour."""
    ran = python(
        WITH_SERVER
        + """
with Misbehaving(silent=True) as server:
    host = through(server.endpoint)
    host.track(Tick(n=1))
    report(flushed=host.flush(500), shut=host.shutdown(500))
""",
        OTEL_EXPORTER_OTLP_TIMEOUT="3600",
    )

    assert ran.only == {"flushed": False, "shut": False}


def test_no_thread_is_left_after_shutdown() -> None:
    """When `shutdown` returns, the threads of host and providers have ended; a second call does nothing."""
    ran = python(
        WITH_SERVER
        + """
class Later:
    @hookimpl
    def track_event(self, event):
        async def later():
            pass
        return later

with Misbehaving() as server:
    before = set(threading.enumerate())
    host = through(server.endpoint)
    host.register(Later())
    host.track(Tick(n=1))
    began = [thread.name for thread in threading.enumerate()]
    shut = host.shutdown()
    left = [thread.name for thread in threading.enumerate() if thread not in before]
    report(began=began, shut=shut, again=host.shutdown(), left=[name for name in left if "process_request" not in name])
""",
    )

    reported = ran.only
    assert "heliograph-loop" in reported["began"]
    assert (reported["shut"], reported["left"]) == (True, [])
