"""OTLP over HTTP, to real servers: TLS, proxies, answers that do not end; one deadline for all of a request."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
from opentelemetry._logs import LogRecord

from delivery.servers import TRICKLES, serving
from heliograph.delivery.encoding.log_records import (
    encode_log_record,
    encode_scope,
    join_request,
    log_record_field,
)
from heliograph.delivery.transport.connect import Resolver
from heliograph.delivery.transport.destination import Destination, Headers, OtlpProtocol
from heliograph.delivery.transport.http import HttpTransport
from heliograph.delivery.transport.verdict import Action, Reason, Verdict
from heliograph.runtime.deadline import Deadline

ACCEPTED = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
RECORD = log_record_field(encode_log_record(LogRecord(attributes={"log.record.uid": "one"})))
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
    """A server of sockets.

    Attributes:
        port: Where it listens.
        heads: The head of each request, in lower case.
    """

    port: int = 0
    heads: list[str] = field(default_factory=list)


@contextmanager
def listening(
    answer: Callable[[socket.socket, str], None], context: ssl.SSLContext | None = None
) -> Iterator[Listening]:
    """A server whose connections are answered, request by request, by a function."""
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
        thread.join()


def read_head(connection: socket.socket) -> str:
    """The head of the next request; its body is read, too."""
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


@dataclass(frozen=True)
class Certificates:
    """An authority, the certificate of a server, and that of a client, each as a file."""

    directory: Path
    authority: trustme.CA = field(default_factory=trustme.CA)

    def server_context(self, *, name: str = "127.0.0.1", wants_client: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(name).configure_cert(context)
        if wants_client:
            self.authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    @property
    def ca_file(self) -> str:
        path = self.directory / "ca.pem"
        self.authority.cert_pem.write_to_path(str(path))
        return str(path)

    def client(self) -> dict[str, str]:
        issued = self.authority.issue_cert("client@example.org")
        certificate, key = self.directory / "client.pem", self.directory / "client.key"
        issued.cert_chain_pems[0].write_to_path(str(certificate))
        issued.private_key_pem.write_to_path(str(key))
        return {"client_certificate": str(certificate), "client_key": str(key)}


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


def test_one_connection_serves_many_requests() -> None:
    """And a new one comes where the server closed the old one meanwhile."""
    connections = set()

    def answer(connection: socket.socket, _: str) -> None:
        connections.add(connection.getpeername())
        connection.sendall(ACCEPTED)
        if len(listener.heads) == 3:
            connection.shutdown(socket.SHUT_RDWR)

    with listening(answer) as listener:
        transport = transport_to(f"http://127.0.0.1:{listener.port}/v1/logs")
        actions = []
        for _ in range(5):
            actions.append(transport.send(BODY, 10).action)
            time.sleep(0.05)
        transport.close()

    assert actions == [Action.DELIVERED] * 5
    assert len(connections) == 2


def test_requests_are_compressed_where_that_is_said() -> None:
    """With the header that says so; what arrives is the same."""
    with serving() as server:
        assert send(server.endpoint, gzip=True).action is Action.DELIVERED

    assert server.headers[0]["content-encoding"] == "gzip"
    assert server.accepted == ["one"]
    assert server.raw == [BODY]


@pytest.mark.parametrize("part", TRICKLES)
def test_answer_that_trickles_in_ends_at_the_deadline(part: str) -> None:
    """A byte a second does not hold the client for longer than it said."""
    with serving(lambda number, records: TRICKLES[part]) as server:
        began = time.monotonic()
        verdict = send(server.endpoint, timeout_seconds=0.5)
        took = time.monotonic() - began

    assert (verdict.action, verdict.reason) == (Action.RETRY, Reason.TIMEOUT)
    assert took < 15  # of the thirty and more that the answer takes


def test_server_that_reads_nothing_ends_at_the_deadline() -> None:
    """Where the request does not fit into the network's buffers."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        verdict = send(url, timeout_seconds=0.5, body=b"\x0a" + b"x" * 30 * 2**20)

    assert (verdict.action, verdict.reason) == (Action.RETRY, Reason.TIMEOUT)


def test_answer_that_is_too_large_is_not_believed() -> None:
    """It is read to 4 MiB, and no further."""
    large = (200, {"Content-Type": "application/x-protobuf"}, b"\0" * (5 * 2**20))
    with serving(lambda number, records: large) as server:
        verdict = send(server.endpoint)

    assert (verdict.action, verdict.reason) == (Action.HOLD, Reason.UNREADABLE)


def test_refusal_before_the_request_was_read_is_heard() -> None:
    """Who refuses a large request may close before it has all of it."""
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(refusal)
                time.sleep(0.2)

        thread = threading.Thread(target=refuse)
        thread.start()
        verdict = send(f"http://127.0.0.1:{listener.getsockname()[1]}/", body=b"\x0a" + b"x" * 20 * 2**20)
        thread.join()

    assert verdict.reason in {Reason.TOO_LARGE, Reason.CONNECTION}  # a reset may take the answer away
    assert verdict.action in {Action.SPLIT, Action.RETRY}


def test_close_cancels_what_is_under_way() -> None:
    """And every later request."""
    asked = threading.Event()
    with listening(lambda connection, _: asked.set()) as listener:
        transport = transport_to(f"http://127.0.0.1:{listener.port}/")
        found: list[Verdict] = []
        thread = threading.Thread(target=lambda: found.append(transport.send(BODY, 60)))
        thread.start()
        assert asked.wait(10)
        transport.close()
        thread.join(10)

        assert (found[0].action, found[0].reason) == (Action.RETRY, Reason.CANCELLED)
        assert transport.send(BODY, 60).reason is Reason.CANCELLED


def test_no_redirect_is_followed() -> None:
    """Nobody gets the headers but whom they are for."""
    with serving() as other:
        redirect = (307, {"Location": other.endpoint}, b"")
        with serving(lambda number, records: redirect) as server:
            verdict = send(server.endpoint, headers=Headers({"authorization": "Bearer canary"}))

    assert (verdict.action, verdict.reason) == (Action.HOLD, Reason.REDIRECT)
    assert other.requests == []


def test_host_that_is_not_there() -> None:
    """By name, and by port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    assert send(f"http://127.0.0.1:{port}/").reason is Reason.CONNECTION
    assert send("http://nobody.invalid/", timeout_seconds=20).reason in {Reason.CONNECTION, Reason.TIMEOUT}


def test_empty_request_is_none() -> None:
    """And one of more than 64 MiB is to be split, unsent."""
    with pytest.raises(ValueError, match="empty"):
        send("http://127.0.0.1:9/", body=b"")

    assert send("http://127.0.0.1:9/", body=bytes(65 * 2**20)).action is Action.SPLIT


def test_server_is_trusted_by_its_authority(certificates: Certificates) -> None:
    """And by no other, nor under another name."""
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


def test_client_shows_its_certificate(certificates: Certificates) -> None:
    """Where the server wants one."""
    with listening(accept_all, certificates.server_context(wants_client=True)) as listener:
        url = f"https://127.0.0.1:{listener.port}/v1/logs"
        with_one = send(url, ca_file=certificates.ca_file, **certificates.client())
        without = send(url, ca_file=certificates.ca_file)

    assert with_one.action is Action.DELIVERED
    assert without.action is Action.RETRY


def test_certificates_are_read_anew_for_each_connection(certificates: Certificates) -> None:
    """So that new ones need no restart."""
    with listening(accept_all, certificates.server_context()) as listener:
        path = Path(certificates.directory) / "later.pem"
        trustme.CA().cert_pem.write_to_path(str(path))
        transport = transport_to(f"https://127.0.0.1:{listener.port}/", ca_file=str(path))
        before = transport.send(BODY, 10)
        certificates.authority.cert_pem.write_to_path(str(path))
        after = transport.send(BODY, 10)
        path.unlink()
        transport.close()
        gone = send(f"https://127.0.0.1:{listener.port}/", ca_file=str(path))

    assert (before.reason, after.action) == (Reason.TLS, Action.DELIVERED)
    assert gone.reason is Reason.TLS
    assert "certificates cannot be loaded" in gone.message


def tunnel_to(port: int) -> Callable[[socket.socket, str], None]:
    """A proxy that opens a way to a port of this host."""

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


def test_proxy_is_asked_for_a_way_to_a_secure_server(certificates: Certificates) -> None:
    """With its own credentials, which the server never sees."""
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


def test_proxy_carries_what_is_not_secure() -> None:
    """By the whole URL."""
    with listening(accept_all) as proxy:
        verdict = send("http://collector.example/v1/logs", proxy=f"http://127.0.0.1:{proxy.port}")

    assert verdict.action is Action.DELIVERED
    assert proxy.heads[0].startswith("post http://collector.example/v1/logs http/1.1")


def test_proxy_that_refuses_is_told(certificates: Certificates) -> None:
    """Without its credentials."""

    def refuse(connection: socket.socket, _: str) -> None:
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    with listening(refuse) as proxy:
        verdict = send("https://127.0.0.1:9/", proxy=f"http://user:canary@127.0.0.1:{proxy.port}")

    assert verdict.reason is Reason.PROXY
    assert "407" in verdict.message
    assert "canary" not in verdict.message


def test_look_up_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the deadline; who asks again waits for the same one."""
    release, calls = threading.Event(), []

    def slow(*arguments: object, **_: object) -> list[Any]:
        calls.append(arguments)
        release.wait(20)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    resolver = Resolver("collector.example", 4318)
    for _ in range(2):
        with pytest.raises(TimeoutError, match="not looked up in time"):
            resolver.addresses(Deadline(50))
    release.set()

    assert resolver.addresses(Deadline(10_000))[0][4] == ("127.0.0.1", 1)
    assert len(calls) == 1
