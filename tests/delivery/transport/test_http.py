"""OTLP over HTTP, beyond the contract of all transports: slow and broken servers, redirects, proxies."""

from __future__ import annotations

import base64
import gzip
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from opentelemetry._logs import LogRecord

from delivery import loopback
from delivery.loopback import Certificates
from delivery.servers import TRICKLES, serving
from heliograph.delivery.encoding.log_records import encode_log_record
from heliograph.delivery.encoding.requests import encode_scope, entry_field, join_request
from heliograph.delivery.transport.destination import Destination, Headers, OtlpProtocol
from heliograph.delivery.transport.explain import NOT_OTLP
from heliograph.delivery.transport.http import HttpTransport
from heliograph.delivery.transport.timed_socket import TimedSocket
from heliograph.delivery.transport.verdict import Action, Reason, Verdict
from threads import LIMIT_SECONDS, join, result_in_time

ACCEPTED = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
PARTIAL = b"\x0a\x07\x08\x01\x12\x03bad"
RECORD = entry_field(encode_log_record(LogRecord(attributes={"log.record.uid": "one"})))
BODY = join_request(b"", "", [(encode_scope("tests"), "", [RECORD])])


def transport_to(url: str, **kwargs: Any) -> HttpTransport:
    return HttpTransport(Destination(protocol=OtlpProtocol.HTTP, url=url, **kwargs))


def send(url: str, *, timeout_seconds: float = 10.0, body: bytes = BODY, **kwargs: Any) -> Verdict:
    transport = transport_to(url, **kwargs)
    try:
        return transport.send(body, timeout_seconds)
    finally:
        transport.close()


@dataclass
class Listening:
    """A server that is programmed on the level of sockets.

    Attributes:
        port: The port.
        heads: The head of each request, in lower case.
    """

    port: int = 0
    heads: list[str] = field(default_factory=list)


@contextmanager
def listening(
    answer: Callable[[socket.socket, str], None], context: ssl.SSLContext | None = None
) -> Iterator[Listening]:
    """Run a server during the block. The function writes the response to each request, whose head it is given."""
    found = Listening()
    listener = socket.create_server(("127.0.0.1", 0))
    found.port = listener.getsockname()[1]

    def serve(connection: socket.socket) -> None:
        with suppress(OSError, ValueError), connection:
            secured = connection if context is None else context.wrap_socket(connection, server_side=True)
            with secured:
                while head := read_head(secured):
                    found.heads.append(head)
                    answer(secured, head)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(20)
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        join(thread)


def read_head(connection: socket.socket) -> str:
    """Read the next request, and return its head; the empty string at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return ""
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    text = head.decode().lower()
    length = int(text.partition("content-length: ")[2].split("\r\n")[0] or 0) if "content-length" in text else 0
    while len(body) < length:
        body += connection.recv(65536)
    return text


def accept_all(connection: socket.socket, _: str) -> None:
    connection.sendall(ACCEPTED)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


def test_one_connection_serves_many_requests() -> None:
    """After the server has closed it, the next request opens another, and is not lost."""
    connections = set()
    is_closed = threading.Event()

    def answer(connection: socket.socket, _: str) -> None:
        connections.add(connection.getpeername())
        connection.sendall(ACCEPTED)
        if len(listener.heads) == 3:
            connection.shutdown(socket.SHUT_RDWR)
            is_closed.set()

    with listening(answer) as listener:
        transport = transport_to(f"http://127.0.0.1:{listener.port}/v1/logs")
        actions = []
        for number in range(5):
            actions.append(transport.send(BODY, 10).action)
            assert number != 2 or is_closed.wait(10)
        transport.close()

    assert actions == [Action.DELIVERED] * 5
    assert len(connections) == 2


@pytest.mark.parametrize("part", TRICKLES)
def test_response_of_one_byte_a_second_ends_at_the_deadline(part: str) -> None:
    """Each byte comes within a socket's timeout, but the deadline is for the whole response."""
    with serving(lambda number, records: TRICKLES[part]) as server:
        verdict = result_in_time(lambda: send(server.endpoint, timeout_seconds=0.5))

    assert (verdict.action, verdict.reason) == (Action.RETRY, Reason.TIMEOUT)


def test_server_that_reads_nothing_ends_at_the_deadline() -> None:
    """The request is larger than the buffers of the network, so writing it blocks."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        verdict = send(url, timeout_seconds=0.5, body=b"\x0a" + b"x" * 30 * 2**20)

    assert (verdict.action, verdict.reason) == (Action.RETRY, Reason.TIMEOUT)


def test_response_before_the_whole_request_was_read_is_used() -> None:
    """A server that rejects a large request may close the connection before it has read all of it."""
    rejection = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(rejection)
                time.sleep(0.2)

        thread = threading.Thread(target=refuse)
        thread.start()
        verdict = send(f"http://127.0.0.1:{listener.getsockname()[1]}/", body=b"\x0a" + b"x" * 20 * 2**20)
        join(thread)

    assert verdict.reason in {Reason.TOO_LARGE, Reason.CONNECTION}  # the response is lost if the connection is reset
    assert verdict.action in {Action.SPLIT, Action.RETRY}


def test_no_redirect_is_followed() -> None:
    """The other server would get the credentials."""
    with serving() as other:
        redirect = (307, {"Location": other.endpoint}, b"")
        with serving(lambda number, records: redirect) as server:
            verdict = send(server.endpoint, headers=Headers({"authorization": "Bearer canary"}))

    assert (verdict.action, verdict.reason) == (Action.HOLD, Reason.REDIRECT)
    assert other.requests == []


def test_unknown_host_is_retried() -> None:
    """A refused connection is retried, too."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    assert send(f"http://127.0.0.1:{port}/").reason is Reason.CONNECTION
    assert send("http://nobody.invalid/", timeout_seconds=20).reason in {Reason.CONNECTION, Reason.TIMEOUT}


def test_certificate_must_be_from_the_authority_and_for_the_host(certificates: Certificates) -> None:
    """A certificate for another name is not trusted."""
    with listening(accept_all, certificates.server_context()) as listener:
        url = f"https://127.0.0.1:{listener.port}/v1/logs"
        trusted = send(url, ca_file=certificates.ca_file)
        unknown = send(url)
    with listening(accept_all, certificates.server_context(name="elsewhere.example")) as listener:
        misnamed = send(f"https://127.0.0.1:{listener.port}/", ca_file=certificates.ca_file)

    assert trusted.action is Action.DELIVERED
    for verdict in (unknown, misnamed):
        assert (verdict.action, verdict.reason) == (Action.RETRY, Reason.TLS)
        assert "certificate" in verdict.message.lower()


def tunnel_to(port: int) -> Callable[[socket.socket, str], None]:
    """Return the function of a proxy that opens a tunnel to a port of this host."""

    def answer(connection: socket.socket, _: str) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", port)) as onward:

            def copy(source: socket.socket, target: socket.socket) -> None:
                with suppress(OSError):
                    while data := source.recv(65536):
                        target.sendall(data)
                    target.shutdown(socket.SHUT_WR)

            back = threading.Thread(target=copy, args=(onward, connection), daemon=True)
            back.start()
            copy(connection, onward)
            back.join(10)

    return answer


def test_proxy_opens_a_tunnel_to_a_secure_server(certificates: Certificates) -> None:
    """Each of the two sees its own credentials only."""
    with (
        listening(accept_all, certificates.server_context()) as server,
        listening(tunnel_to(server.port)) as proxy,
    ):
        verdict = send(
            f"https://127.0.0.1:{server.port}/v1/logs",
            ca_file=certificates.ca_file,
            headers=Headers({"x-key": "for-the-server"}),
            proxy=f"http://user:canary@127.0.0.1:{proxy.port}",
        )

    assert verdict.action is Action.DELIVERED
    assert proxy.heads[0].startswith(f"connect 127.0.0.1:{server.port} http/1.1")
    assert "proxy-authorization: basic" in proxy.heads[0]
    assert "for-the-server" not in proxy.heads[0]
    assert "proxy-authorization" not in server.heads[0]


def test_proxy_forwards_requests_without_tls() -> None:
    """The request line that a proxy gets has the whole URL."""
    with listening(accept_all) as proxy:
        verdict = send("http://collector.example/v1/logs", proxy=f"http://127.0.0.1:{proxy.port}")

    assert verdict.action is Action.DELIVERED
    assert proxy.heads[0].startswith("post http://collector.example/v1/logs http/1.1")


def test_proxy_that_rejects_the_tunnel_is_a_reason_of_its_own() -> None:
    """The message has the status of the proxy, and not its credentials."""

    def reject(connection: socket.socket, _: str) -> None:
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    with listening(reject) as proxy:
        verdict = send("https://127.0.0.1:9/", proxy=f"http://user:canary@127.0.0.1:{proxy.port}")

    assert verdict.reason is Reason.PROXY
    assert "407" in verdict.message
    assert "canary" not in verdict.message


def test_proxy_without_tls_gets_its_credentials_with_each_request() -> None:
    """A proxy that forwards requests reads their headers, so the credentials are one of them."""
    with listening(accept_all) as proxy:
        send("http://collector.example/v1/logs", proxy=f"http://user:canary@127.0.0.1:{proxy.port}")

    assert "proxy-authorization: basic" in proxy.heads[0]


def test_success_that_is_cut_short_is_retried() -> None:
    """The part that arrived may be the beginning of a partial success."""

    def answer(connection: socket.socket, _: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 9\r\n\r\n\x0a")
        connection.shutdown(socket.SHUT_RDWR)

    with listening(answer) as listener:
        verdict = send(f"http://127.0.0.1:{listener.port}/v1/logs")

    assert (verdict.action, verdict.reason) == (Action.RETRY, Reason.CONNECTION)


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Ty", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"]
)
def test_success_that_is_cut_in_its_headers_is_retried(head: bytes) -> None:
    """The missing part may tell of rejected records. For `http.client` the end of the connection is the end of the headers."""

    def answer(connection: socket.socket, _: str) -> None:
        connection.sendall(head)
        connection.shutdown(socket.SHUT_RDWR)

    with listening(answer) as listener:
        verdict = send(f"http://127.0.0.1:{listener.port}/v1/logs")

    assert (verdict.action, verdict.reason) == (Action.RETRY, Reason.CONNECTION)
    assert verdict.message == "no response: the connection ended in the headers of the response"


def test_body_that_ends_with_the_connection_is_read() -> None:
    """HTTP/1.0 has no other end of a body."""

    def answer(connection: socket.socket, _: str) -> None:
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + PARTIAL)
        connection.shutdown(socket.SHUT_RDWR)

    with listening(answer) as listener:
        assert send(f"http://127.0.0.1:{listener.port}/v1/logs").action is Action.PARTIAL


@pytest.mark.parametrize("begun", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n\x0a"])
def test_success_that_has_begun_when_the_transport_is_closed_is_no_success(begun: bytes) -> None:
    """The end of the connection is ours then, and not the end of the response."""
    has_begun = threading.Event()

    def answer(connection: socket.socket, _: str) -> None:
        connection.sendall(begun)
        has_begun.set()
        connection.recv(1)  # until the client ends the connection

    with listening(answer) as listener:
        transport = transport_to(f"http://127.0.0.1:{listener.port}/v1/logs")
        found: list[Verdict] = []
        sending = threading.Thread(target=lambda: found.append(transport.send(BODY, 2 * LIMIT_SECONDS)))
        sending.start()
        assert has_begun.wait(60)
        transport.close()
        join(sending)

    assert (found[0].action, found[0].reason) == (Action.RETRY, Reason.CANCELLED)


def test_failure_that_is_cut_short_has_the_verdict_of_its_status() -> None:
    """The text is of no use to the sender."""

    def answer(connection: socket.socket, _: str) -> None:
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 900\r\n\r\nno")
        connection.shutdown(socket.SHUT_RDWR)

    with listening(answer) as listener:
        assert send(f"http://127.0.0.1:{listener.port}/v1/logs").action is Action.SPLIT


@pytest.mark.parametrize("status", ["302 Found", "401 Unauthorized", "404 Not Found", "418 Teapot", "503 Unavailable"])
def test_message_names_the_url_that_failed(status: str) -> None:
    """Each signal may have an endpoint of its own, and another server may be behind any of them."""

    def answer(connection: socket.socket, _: str) -> None:
        connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

    with listening(answer) as listener:
        url = f"http://127.0.0.1:{listener.port}/v1/logs"
        assert send(url).message.startswith(f"HTTP {status[:3]} from {url}")


def test_early_success_is_not_believed() -> None:
    """A server that closes in the middle of a request does not have all of it, whatever it replies."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept_early() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(ACCEPTED)
                connection.shutdown(socket.SHUT_RD)

        thread = threading.Thread(target=accept_early)
        thread.start()
        verdict = send(f"http://127.0.0.1:{listener.getsockname()[1]}/", body=b"\x0a" + b"x" * 30 * 2**20)
        join(thread)

    assert (verdict.action, verdict.reason) == (Action.RETRY, Reason.CONNECTION)


def test_message_does_not_quote_a_broken_response() -> None:
    """The texts of `http.client` contain what was received, which may repeat what was sent."""
    with listening(lambda connection, head: connection.sendall(b"canary\r\n\r\n")) as listener:
        verdict = send(f"http://127.0.0.1:{listener.port}/v1/logs")

    assert (verdict.action, verdict.reason) == (Action.RETRY, Reason.CONNECTION)
    assert verdict.message == f"no response: BadStatusLine from http://127.0.0.1:{listener.port}/v1/logs: {NOT_OTLP}"


def test_second_thread_waits_no_longer_than_its_own_timeout() -> None:
    """A request that waits for that of another thread ends by its own timeout, and the message says so."""
    asked, release = threading.Event(), threading.Event()

    def answer(connection: socket.socket, _: str) -> None:
        asked.set()
        release.wait(60)
        connection.sendall(ACCEPTED)

    with listening(answer) as listener:
        transport = transport_to(f"http://127.0.0.1:{listener.port}/v1/logs")
        first = threading.Thread(target=transport.send, args=(BODY, 60))
        first.start()
        assert asked.wait(60)
        verdict = transport.send(BODY, 0.1)
        release.set()
        join(first)
        transport.close()

    assert (verdict.action, verdict.reason) == (Action.RETRY, Reason.TIMEOUT)
    assert "another thread" in verdict.message


def test_query_of_the_endpoint_is_sent_and_never_shown() -> None:
    """Some backends take their key in the query."""

    def reject(connection: socket.socket, head: str) -> None:
        text = head.partition("\r\n")[0].encode()
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text))

    with listening(reject) as listener:
        verdict = send(f"http://127.0.0.1:{listener.port}/v1/logs?key=canary")

    assert listener.heads[0].startswith("post /v1/logs?key=canary http/1.1")
    assert "canary" not in repr(verdict)


@pytest.mark.parametrize(
    ("status", "action", "reason"),
    [
        ("413 Too Large", Action.SPLIT, Reason.TOO_LARGE),
        ("200 OK", Action.RETRY, Reason.CONNECTION),
    ],
)
def test_response_is_read_after_a_broken_pipe(
    monkeypatch: pytest.MonkeyPatch, status: str, action: Action, reason: Reason
) -> None:
    """A rejection explains why the server closed early. A success is not believed."""
    real = TimedSocket.sendall

    def break_after_the_body(connection: TimedSocket, data: bytes, flags: int = 0) -> None:
        real(connection, data, flags)
        if data == BODY:
            raise BrokenPipeError

    monkeypatch.setattr(TimedSocket, "sendall", break_after_the_body)
    response = f"HTTP/1.1 {status}\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n".encode()
    with listening(lambda connection, _: connection.sendall(response)) as listener:
        verdict = send(f"http://127.0.0.1:{listener.port}/v1/logs")

    assert (verdict.action, verdict.reason) == (action, reason)


def test_connection_is_not_used_again_if_the_server_will_close_it() -> None:
    """A server that announces the end of a connection may still have it open."""
    connections = set()

    def answer(connection: socket.socket, _: str) -> None:
        connections.add(connection.getpeername())
        connection.sendall(ACCEPTED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    with listening(answer) as listener:
        transport = transport_to(f"http://127.0.0.1:{listener.port}/v1/logs")
        actions = [transport.send(BODY, 10).action for _ in range(2)]
        transport.close()

    assert actions == [Action.DELIVERED] * 2
    assert len(connections) == 2


def test_no_more_of_a_response_is_read_than_is_allowed() -> None:
    """The rest of 100 MiB never comes, and is not waited for."""

    def answer(connection: socket.socket, _: str) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (100 * 2**20))
        connection.sendall(bytes(5 * 2**20))

    with listening(answer) as listener:
        verdict = send(f"http://127.0.0.1:{listener.port}/v1/logs", timeout_seconds=15)

    assert (verdict.action, verdict.reason) == (Action.HOLD, Reason.UNREADABLE)


def test_credentials_of_a_proxy_are_in_no_message() -> None:
    """The proxy may repeat them in their encoded form, which is removed, too."""
    with loopback.serving(OtlpProtocol.HTTP, loopback.always(loopback.Reply.UNAUTHENTICATED)) as proxy:
        verdict = send("http://collector.example/v1/logs", proxy=f"http://user:canary@127.0.0.1:{proxy.port}")

    encoded = base64.b64encode(b"user:canary").decode()
    assert encoded in proxy.requests[0].headers["proxy-authorization"]
    assert "proxy-authorization" in verdict.message
    assert encoded not in repr(verdict)


def test_key_in_the_query_is_in_no_message() -> None:
    """A server repeats the key alone, which is removed, too."""
    head = b"HTTP/1.1 401 Unauthorized\r\nContent-Type: text/plain\r\nContent-Length: 21\r\n\r\n"
    with listening(lambda connection, _: connection.sendall(head + b"invalid key SECRET123")) as listener:
        verdict = send(f"http://127.0.0.1:{listener.port}/v1/logs?api_key=SECRET123")

    assert verdict.reason is Reason.UNAUTHENTICATED
    assert "invalid key" in verdict.message
    assert "SECRET123" not in repr(verdict)


def test_connection_that_ends_in_the_handshake_is_a_lost_connection() -> None:
    """OpenSSL reports it as an error of TLS, but no certificate is wrong."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)  # all of the client's hello, so that the close is no reset

        thread = threading.Thread(target=hang_up)
        thread.start()
        verdict = send(f"https://127.0.0.1:{listener.getsockname()[1]}/")
        join(thread)

    assert (verdict.action, verdict.reason) == (Action.RETRY, Reason.CONNECTION)


def test_close_cancels_a_handshake() -> None:
    """The socket with TLS is another one than the socket that connected."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        transport = transport_to(f"https://127.0.0.1:{listener.getsockname()[1]}/")
        found: list[Verdict] = []
        sending = threading.Thread(target=lambda: found.append(transport.send(BODY, 2 * LIMIT_SECONDS)))
        sending.start()
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            transport.close()
            join(sending)

    assert found[0].reason is Reason.CANCELLED


@pytest.mark.parametrize("interim", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
def test_interim_responses_are_not_the_response(interim: bytes) -> None:
    """Any number of them, with headers, may come before it; the connection carries the next request."""
    head = b"HTTP/1.1 " + interim + b"\r\nLink: </style.css>; rel=preload\r\n\r\n"
    with listening(lambda connection, _: connection.sendall(head * 3 + ACCEPTED)) as listener:
        transport = transport_to(f"http://127.0.0.1:{listener.port}/v1/logs")
        verdicts = [transport.send(BODY, 10) for _ in range(2)]
        transport.close()

    assert [verdict.action for verdict in verdicts] == [Action.DELIVERED] * 2


def test_interim_responses_without_end_are_no_response() -> None:
    """Too many interim responses are a failed connection, and the records wait."""
    with listening(lambda connection, _: connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 200)) as listener:
        verdict = send(f"http://127.0.0.1:{listener.port}/v1/logs")

    assert (verdict.action, verdict.reason) == (Action.RETRY, Reason.CONNECTION)


def test_switch_of_protocols_is_no_interim_response() -> None:
    """Status 101 ends HTTP on the connection, so no response follows."""
    with listening(lambda connection, _: connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")) as listener:
        verdict = send(f"http://127.0.0.1:{listener.port}/v1/logs")

    assert (verdict.action, verdict.reason) == (Action.HOLD, Reason.UNREADABLE)


@pytest.mark.parametrize(
    ("encoding", "body", "action"),
    [
        ("gzip", gzip.compress(PARTIAL), Action.PARTIAL),
        ("GZIP", gzip.compress(b""), Action.DELIVERED),
        ("deflate", zlib.compress(PARTIAL), Action.PARTIAL),
        ("identity", PARTIAL, Action.PARTIAL),
        ("gzip", b"not compressed", Action.HOLD),
        ("gzip", gzip.compress(PARTIAL)[:12], Action.HOLD),
        ("gzip", gzip.compress(b"") + gzip.compress(PARTIAL), Action.HOLD),
        # This would be a message with an unknown field.
        ("br", b"\x78\x00", Action.HOLD),
        ("utf-8", PARTIAL, Action.PARTIAL),
        ("gzip", gzip.compress(bytes(50 * 2**20), 1), Action.HOLD),
    ],
)
def test_compressed_response_is_read(encoding: str, body: bytes, action: Action) -> None:
    """No compression is asked for, but some proxies compress all the same. A bomb is read to 4 MiB only."""
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with listening(lambda connection, _: connection.sendall(head + body)) as listener:
        verdict = send(f"http://127.0.0.1:{listener.port}/v1/logs")

    assert verdict.action is action
    assert "accept-encoding: identity" in listener.heads[0]


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_success_that_is_cut_off_is_no_delivery(encoding: str) -> None:
    """Wherever a partial success is cut off: its bytes, or the part that can be decoded, may look like a full success."""
    compressed = gzip.compress(PARTIAL) if encoding == "gzip" else zlib.compress(PARTIAL)
    bodies = [compressed[:size] for size in range(1, len(compressed))]

    def answer(connection: socket.socket, _: str) -> None:
        body = bodies.pop()
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    count = len(bodies)
    with listening(answer) as listener:
        verdicts = [send(f"http://127.0.0.1:{listener.port}/v1/logs") for _ in range(count)]

    assert {(verdict.action, verdict.reason) for verdict in verdicts} == {(Action.HOLD, Reason.UNREADABLE)}


def test_error_whose_text_cannot_be_decoded_has_the_verdict_of_its_status() -> None:
    """The message has no compressed bytes."""
    body = gzip.compress(b"down for maintenance")[:-4]
    head = b"HTTP/1.1 503 Down\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    with listening(lambda connection, _: connection.sendall(head % len(body) + body)) as listener:
        verdict = send(f"http://127.0.0.1:{listener.port}/v1/logs")

    assert (verdict.action, verdict.reason) == (Action.RETRY, Reason.UNAVAILABLE)
    assert verdict.message.endswith("/v1/logs")
