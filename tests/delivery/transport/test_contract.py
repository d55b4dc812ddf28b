"""The contract of `Transport`: the same tests over HTTP and gRPC, with real servers on 127.0.0.1."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from opentelemetry._logs import LogRecord

from backends import free_port
from delivery.loopback import (
    REJECTED,
    RETRY_AFTER_SECONDS,
    Certificates,
    Reply,
    Server,
    always,
    relaying,
    serving,
)
from heliograph.delivery.encoding.log_records import encode_log_record
from heliograph.delivery.encoding.requests import encode_scope, entry_field, join_request
from heliograph.delivery.transport.contract import Transport
from heliograph.delivery.transport.destination import Destination, Headers, OtlpProtocol
from heliograph.delivery.transport.open import open_transport
from heliograph.delivery.transport.verdict import MAX_REQUEST_BYTES, Action, Reason, Verdict
from processes import program_environment
from threads import LIMIT_SECONDS, join, result_in_time

pytestmark = pytest.mark.parametrize("protocol", list(OtlpProtocol), ids=lambda protocol: protocol.name)

LONG = 60.0
"""A timeout that no test reaches, unless it fails."""


def request_of(body: str = "", uid: str = "one") -> bytes:
    record = entry_field(encode_log_record(LogRecord(body=body, attributes={"log.record.uid": uid})))
    return join_request(b"", "", [(encode_scope("tests"), "", [record])])


REQUEST = request_of()


@contextmanager
def opened(destination: Destination) -> Iterator[Transport]:
    transport = open_transport(destination)
    try:
        yield transport
    finally:
        transport.close()


def send(destination: Destination, *, body: bytes = REQUEST, timeout_seconds: float = LONG) -> Verdict:
    with opened(destination) as transport:
        return transport.send(body, timeout_seconds)


def destination_of(protocol: OtlpProtocol, port: int, **options: Any) -> Destination:
    return Server(protocol, always(Reply.ACCEPT), port).destination(**options)


def send_and_get(protocol: OtlpProtocol, reply: Reply, *, timeout_seconds: float = LONG, **options: Any) -> Verdict:
    with serving(protocol, always(reply)) as server:
        return send(server.destination(**options), timeout_seconds=timeout_seconds)


def test_accepted_request_arrives_unchanged(protocol: OtlpProtocol) -> None:
    """The verdict is a delivery without a message."""
    with serving(protocol) as server:
        verdict = send(server.destination())

    assert verdict == Verdict(action=Action.DELIVERED, reason=Reason.ACCEPTED)
    assert [request.body for request in server.requests] == [REQUEST]


def test_partial_success_has_the_number_of_rejected_records_and_the_text(protocol: OtlpProtocol) -> None:
    """The verdict has the number and the text as the server reports them."""
    verdict = send_and_get(protocol, Reply.PARTIAL)

    assert (verdict.action, verdict.reason, verdict.rejected) == (Action.PARTIAL, Reason.PARTIAL_SUCCESS, REJECTED)
    assert "too old" in verdict.message


@pytest.mark.parametrize(
    ("reply", "action", "reason", "retry_after_seconds"),
    [
        (Reply.UNAVAILABLE, Action.RETRY, Reason.UNAVAILABLE, None),
        (Reply.UNAVAILABLE_FOR_A_WHILE, Action.RETRY, Reason.UNAVAILABLE, RETRY_AFTER_SECONDS),
        (Reply.THROTTLED, Action.RETRY, Reason.THROTTLED, RETRY_AFTER_SECONDS),
        (Reply.TOO_LARGE, Action.SPLIT, Reason.TOO_LARGE, None),
        (Reply.BAD_DATA, Action.BAD_DATA, Reason.BAD_DATA, None),
        (Reply.UNAUTHENTICATED, Action.HOLD, Reason.UNAUTHENTICATED, None),
        (Reply.NOT_FOUND, Action.HOLD, Reason.NOT_FOUND, None),
    ],
)
def test_failure_has_its_verdict_and_the_servers_text(
    protocol: OtlpProtocol, reply: Reply, action: Action, reason: Reason, retry_after_seconds: float | None
) -> None:
    """The verdict has the time that the server asks to wait (`Retry-After`, `RetryInfo`). The request was sent exactly once."""
    with serving(protocol, always(reply)) as server:
        verdict = send(server.destination())

    assert (verdict.action, verdict.reason) == (action, reason)
    assert verdict.retry_after_seconds == retry_after_seconds
    assert "no such luck" in verdict.message
    assert len(server.requests) == 1


def test_refused_connection_is_retried(protocol: OtlpProtocol) -> None:
    """A port on which no server listens is a failure of the network, not of the data."""
    verdict = send(destination_of(protocol, free_port()))

    assert verdict.action is Action.RETRY
    assert verdict.reason in {Reason.CONNECTION, Reason.UNAVAILABLE}


def test_server_that_comes_back_is_used_by_the_next_request(protocol: OtlpProtocol) -> None:
    """The transport has no waiting time of its own after a failure: the sender decides when to try again."""
    port = free_port()
    with opened(destination_of(protocol, port)) as transport:
        before = transport.send(REQUEST, LONG)
        with serving(protocol, port=port):
            after = transport.send(REQUEST, LONG)

    assert (before.action, after.action) == (Action.RETRY, Action.DELIVERED)


def test_server_that_does_not_reply_is_left_at_the_deadline(protocol: OtlpProtocol) -> None:
    """The verdict is to retry, and the next request goes through."""
    replies = iter([Reply.SILENCE, Reply.ACCEPT])
    with serving(protocol, lambda number, request: next(replies)) as server, opened(server.destination()) as transport:
        late = transport.send(REQUEST, 0.5)
        server.stop_waiting()
        next_one = transport.send(REQUEST, LONG)

    assert (late.action, late.reason) == (Action.RETRY, Reason.TIMEOUT)
    assert next_one.action is Action.DELIVERED


def test_each_request_has_a_deadline_of_its_own(protocol: OtlpProtocol) -> None:
    """The second request on an open connection ends by its own timeout, not by that of the first."""
    replies = iter([Reply.ACCEPT, Reply.SILENCE])
    with serving(protocol, lambda number, request: next(replies)) as server, opened(server.destination()) as transport:
        transport.send(REQUEST, 2 * LIMIT_SECONDS)
        late = result_in_time(lambda: transport.send(REQUEST, 0.5))

    assert late.reason is Reason.TIMEOUT


@pytest.mark.parametrize("timeout_seconds", [0.0, -1.0])
def test_timeout_that_is_over_is_a_verdict_too(protocol: OtlpProtocol, timeout_seconds: float) -> None:
    """No exception is raised. gRPC compares clocks in milliseconds, and may still deliver a request with a timeout of 0."""
    with serving(protocol) as server:
        verdict = send(server.destination(), timeout_seconds=timeout_seconds)

    assert (verdict.action, verdict.reason) in {(Action.RETRY, Reason.TIMEOUT), (Action.DELIVERED, Reason.ACCEPTED)}


def test_connection_that_is_lost_during_a_request_is_retried(protocol: OtlpProtocol) -> None:
    """The server may have stored the request or not; nothing is known."""
    with serving(protocol, always(Reply.SILENCE)) as server, relaying(server.port) as relay:
        cutting = threading.Thread(target=lambda: server.arrived.wait(LONG) and relay.cut())
        cutting.start()
        verdict = send(destination_of(protocol, relay.port))
        join(cutting)

    assert verdict.action is Action.RETRY
    assert verdict.reason in {Reason.CONNECTION, Reason.UNAVAILABLE}


def test_connection_that_was_closed_between_requests_is_replaced(protocol: OtlpProtocol) -> None:
    """Load balancers close idle connections."""
    with (
        serving(protocol) as server,
        relaying(server.port) as relay,
        opened(destination_of(protocol, relay.port)) as transport,
    ):
        first = transport.send(REQUEST, LONG)
        relay.cut()
        second = transport.send(REQUEST, LONG)
        while second.action is Action.RETRY:  # gRPC's own thread had not noticed the closed connection
            second = transport.send(REQUEST, LONG)

    assert (first.action, second.action) == (Action.DELIVERED, Action.DELIVERED)
    assert len({request.peer for request in server.requests}) == 2


def test_one_connection_carries_many_requests(protocol: OtlpProtocol) -> None:
    """A handshake for each request would take most of the time."""
    with serving(protocol) as server, opened(server.destination()) as transport:
        actions = [transport.send(REQUEST, LONG).action for _ in range(5)]

    assert actions == [Action.DELIVERED] * 5
    assert len({request.peer for request in server.requests}) == 1


def test_threads_may_send_at_the_same_time(protocol: OtlpProtocol) -> None:
    """Each request arrives once and whole."""
    bodies = [request_of("x" * 10_000, uid=str(number)) for number in range(20)]
    with serving(protocol) as server, opened(server.destination()) as transport, ThreadPoolExecutor(4) as threads:
        verdicts = list(threads.map(lambda body: transport.send(body, LONG), bodies))

    assert {verdict.action for verdict in verdicts} == {Action.DELIVERED}
    assert sorted(request.body for request in server.requests) == sorted(bodies)


def test_close_cancels_the_request_of_another_thread(protocol: OtlpProtocol) -> None:
    """Every later request is cancelled without being sent."""
    with serving(protocol, always(Reply.SILENCE)) as server:
        transport = open_transport(server.destination())
        with ThreadPoolExecutor(1) as threads:
            sending = threads.submit(transport.send, REQUEST, 2 * LIMIT_SECONDS)
            assert server.arrived.wait(LONG)
            transport.close()
            cancelled = sending.result(LIMIT_SECONDS)
        later = transport.send(REQUEST, LONG)

    for verdict in (cancelled, later):
        assert (verdict.action, verdict.reason) == (Action.RETRY, Reason.CANCELLED)
    assert len(server.requests) == 1


def test_close_may_be_called_twice(protocol: OtlpProtocol) -> None:
    """A transport may be closed before its first request, which is cancelled then."""
    with serving(protocol) as server:
        transport = open_transport(server.destination())
        transport.close()
        transport.close()

        assert transport.send(REQUEST, LONG).reason is Reason.CANCELLED
    assert server.requests == []


@pytest.mark.parametrize("reply", [Reply.HUGE, Reply.GARBAGE])
def test_success_that_cannot_be_read_delivers_nothing(protocol: OtlpProtocol, reply: Reply) -> None:
    """A response of more than 4 MiB, or one that is not OTLP, is from some other server."""
    verdict = send_and_get(protocol, reply)

    assert (verdict.action, verdict.reason) == (Action.HOLD, Reason.UNREADABLE)


def test_huge_response_does_not_spoil_the_next_request(protocol: OtlpProtocol) -> None:
    """The unread rest of a response is not taken for the next response."""
    replies = iter([Reply.HUGE, Reply.ACCEPT])
    with serving(protocol, lambda number, request: next(replies)) as server, opened(server.destination()) as transport:
        transport.send(REQUEST, LONG)

        assert transport.send(REQUEST, LONG).action is Action.DELIVERED


def test_empty_request_is_a_mistake_of_the_caller(protocol: OtlpProtocol) -> None:
    """A request without records raises a `ValueError`, and is not sent."""
    with serving(protocol) as server, pytest.raises(ValueError, match="empty"):
        send(server.destination(), body=b"")

    assert server.requests == []


def test_request_above_64_mib_is_not_sent(protocol: OtlpProtocol) -> None:
    """The verdict on a request that is too large is to split it."""
    with serving(protocol) as server:
        verdict = send(server.destination(), body=bytes(MAX_REQUEST_BYTES + 1))

    assert verdict.message.startswith("not sent: ")
    assert (verdict.action, verdict.reason) == (Action.SPLIT, Reason.TOO_LARGE)
    assert server.requests == []


def test_request_below_the_usual_limit_is_accepted(protocol: OtlpProtocol) -> None:
    """gRPC's own default limit for servers is 4 MiB."""
    with serving(protocol) as server, opened(server.destination()) as transport:
        body = request_of("x" * (transport.usual_limit_bytes - 1000))

        assert transport.send(body, LONG).action is Action.DELIVERED


@pytest.mark.parametrize("gzip", [False, True])
def test_requests_are_compressed_on_demand(protocol: OtlpProtocol, gzip: bool) -> None:
    """Counted in the bytes on the wire; the same message arrives."""
    body = request_of("x" * 1_000_000)
    with serving(protocol) as server, relaying(server.port) as relay:
        verdict = send(destination_of(protocol, relay.port, gzip=gzip), body=body)

    assert verdict.action is Action.DELIVERED
    assert (relay.sent < 100_000) == gzip
    assert server.requests[0].body == body


def test_headers_arrive(protocol: OtlpProtocol) -> None:
    """The name and version of this program arrive as the user agent."""
    with serving(protocol) as server:
        send(server.destination(headers=Headers({"authorization": "Bearer canary", "x-team": "a"})))

    headers = server.requests[0].headers
    assert (headers["authorization"], headers["x-team"]) == ("Bearer canary", "a")
    assert headers["user-agent"].startswith("heliograph/")


def test_credentials_are_in_no_message(protocol: OtlpProtocol) -> None:
    """The server may repeat them with their scheme (`Bearer …`), and without."""
    verdict = send_and_get(
        protocol, Reply.UNAUTHENTICATED, headers=Headers({"authorization": "Bearer canary-1", "x-key": "canary-2"})
    )

    assert "x-key" in verdict.message  # the text is there, without the values
    assert "canary" not in repr(verdict)
    assert "Bearer" not in repr(verdict)


FORKING = """
import os, sys
from heliograph.delivery.transport.destination import Destination, OtlpProtocol
from heliograph.delivery.transport.open import open_transport

protocol, url, body = OtlpProtocol(sys.argv[1]), sys.argv[2], bytes.fromhex(sys.argv[3])
transport = open_transport(Destination(protocol=protocol, url=url))

def is_delivered():
    return transport.send(body, 30).action.value == "delivered"

assert is_delivered()
pid = os.fork()
if not pid:
    os._exit(0 if is_delivered() and is_delivered() else 1)
assert is_delivered()
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert is_delivered()
transport.close()
"""


def test_child_of_a_fork_has_a_connection_of_its_own(protocol: OtlpProtocol) -> None:
    """The parent keeps its own, which still works after the child has ended."""
    with serving(protocol) as server:
        command = [sys.executable, "-c", FORKING, protocol.value, server.url, REQUEST.hex()]
        done = subprocess.run(
            command, env=program_environment(), capture_output=True, text=True, timeout=120, check=False
        )

    assert done.returncode == 0, done.stderr
    by_peer = [sum(request.peer == peer for request in server.requests) for peer in {r.peer for r in server.requests}]
    assert sorted(by_peer) == [2, 3]


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


def test_server_is_trusted_by_its_authority_only(protocol: OtlpProtocol, certificates: Certificates) -> None:
    """A failure of TLS is a reason of its own: it needs a person, not time."""
    with serving(protocol, certificates=certificates) as server:
        trusted = send(server.destination(ca_file=certificates.ca_file))
        unknown = send(server.destination())

    assert trusted.action is Action.DELIVERED
    assert (unknown.action, unknown.reason) == (Action.RETRY, Reason.TLS)
    assert len(server.requests) == 1


def test_client_shows_its_certificate(protocol: OtlpProtocol, certificates: Certificates) -> None:
    """A server that demands a certificate accepts the client with one, and none without."""
    with serving(protocol, certificates=certificates, wants_client_certificate=True) as server:
        with_one = send(server.destination(ca_file=certificates.ca_file, **certificates.client()))
        without = send(server.destination(ca_file=certificates.ca_file), timeout_seconds=10)

    assert with_one.action is Action.DELIVERED
    assert without.action is Action.RETRY
    assert len(server.requests) == 1


def test_certificates_are_read_again_after_a_failure(
    protocol: OtlpProtocol, certificates: Certificates, tmp_path: Path
) -> None:
    """New files need no restart, and a missing file is a verdict."""
    path = tmp_path / "later.pem"
    with serving(protocol, certificates=certificates) as server:
        with opened(server.destination(ca_file=str(path))) as transport:
            missing = transport.send(REQUEST, LONG)
            trustme.CA().cert_pem.write_to_path(str(path))
            wrong = transport.send(REQUEST, LONG)
            certificates.authority.cert_pem.write_to_path(str(path))
            right = transport.send(REQUEST, LONG)

    assert (missing.action, missing.reason) == (Action.RETRY, Reason.TLS)
    assert "certificates cannot be loaded" in missing.message
    assert (wrong.reason, right.action) == (Reason.TLS, Action.DELIVERED)


def test_proxies_of_the_environment_are_not_used_by_the_transport(
    protocol: OtlpProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the destination decides: `destination_from_env` has read the environment before."""
    for name in ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with serving(protocol) as server:
        assert send(server.destination()).action is Action.DELIVERED
