"""Real OTLP servers on 127.0.0.1, over HTTP and over gRPC, with one interface: a test chooses the reply to each request."""

from __future__ import annotations

import enum
import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import grpc
import trustme
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from delivery.servers import uids
from heliograph.delivery.signals import LOGS, TRACES, OutboxSignal
from heliograph.delivery.transport.destination import Destination, OtlpProtocol
from servers import serving_in_thread
from threads import LIMIT_SECONDS, join

RETRY_AFTER_SECONDS: Final = 7
"""The time that a server asks to wait, unless the test chooses another."""
REJECTED: Final = 3
"""The number of records that a partial success rejects, unless the test chooses another."""
SERVICE: Final = "opentelemetry.proto.collector.logs.v1.LogsService"
TRACE_SERVICE: Final = "opentelemetry.proto.collector.trace.v1.TraceService"
_SERVICES: Final = {SERVICE: LOGS, TRACE_SERVICE: TRACES}


class Reply(enum.Enum):
    """A reply that both protocols can give."""

    ACCEPT = "accept"
    PARTIAL = "some records are rejected"
    UNAVAILABLE = "unavailable"
    UNAVAILABLE_FOR_A_WHILE = "unavailable, with a time to come back"
    THROTTLED = "throttled, with a time to come back"
    TOO_LARGE = "the request is too large"
    BAD_DATA = "the data is invalid"
    UNAUTHENTICATED = "the credentials are invalid; the text repeats all headers of the request"
    NOT_FOUND = "there is no such service"
    SILENCE = "no reply, until the server is stopped"
    HUGE = "a success of 5 MiB"
    GARBAGE = "a success that is no message of OTLP"


_RESPONSES: Final[Mapping[OutboxSignal, tuple[type[Any], str]]] = {
    LOGS: (ExportLogsServiceResponse, "rejected_log_records"),
    TRACES: (ExportTraceServiceResponse, "rejected_spans"),
}
_SUCCESSES: Final = {
    Reply.ACCEPT: b"",
    Reply.HUGE: bytes(5 * 2**20),
    Reply.GARBAGE: b"<html>Sign in</html>",
}
_FAILURES: Final = {
    Reply.UNAVAILABLE: (503, grpc.StatusCode.UNAVAILABLE),
    Reply.UNAVAILABLE_FOR_A_WHILE: (503, grpc.StatusCode.UNAVAILABLE),
    Reply.THROTTLED: (429, grpc.StatusCode.RESOURCE_EXHAUSTED),
    Reply.TOO_LARGE: (413, grpc.StatusCode.RESOURCE_EXHAUSTED),
    Reply.BAD_DATA: (400, grpc.StatusCode.INVALID_ARGUMENT),
    Reply.UNAUTHENTICATED: (401, grpc.StatusCode.UNAUTHENTICATED),
    Reply.NOT_FOUND: (404, grpc.StatusCode.UNIMPLEMENTED),
}
_WITH_RETRY_AFTER: Final = {Reply.UNAVAILABLE_FOR_A_WHILE, Reply.THROTTLED}


@dataclass(frozen=True)
class Request:
    """A request as it arrived.

    Attributes:
        body: The message, decompressed.
        headers: The headers, or the metadata of gRPC, by lower-case name.
        peer: The address of the client's end of the connection.
        signal: The signal, by the URL or the service of gRPC.
    """

    body: bytes
    headers: Mapping[str, str]
    peer: str
    signal: OutboxSignal = LOGS

    @property
    def uids(self) -> list[str]:
        """The unique ids of the records, or the ids of the spans."""
        return uids(self.signal.request_class.FromString(self.body))


ReplyTo = Callable[[int, Request], "Reply | grpc.StatusCode"]
"""Chooses the reply to a request; the first has number 0. A server of gRPC can also reply with any code."""


@dataclass
class Server:
    """A server that listens.

    Attributes:
        protocol: HTTP or gRPC.
        port: The port.
        scheme: `http` or `https`.
        requests: The requests, in the order of arrival.
        accepted: The unique ids of the records, or the ids of the spans, of accepted requests.
        arrived: Set when the first request has arrived.
        retry_after_seconds: The time that it asks to wait.
        rejected: The number of records that a partial success rejects.
    """

    protocol: OtlpProtocol
    reply_to: ReplyTo
    port: int = 0
    scheme: str = "http"
    requests: list[Request] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)
    retry_after_seconds: int = RETRY_AFTER_SECONDS
    rejected: int = REJECTED
    _stopped: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """The URL to send logs to."""
        return self.url_of(LOGS)

    def url_of(self, signal: OutboxSignal) -> str:
        """Return the URL to send a signal to."""
        path = f"/v1/{signal.name}" if self.protocol is OtlpProtocol.HTTP else ""
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"

    @property
    def largest_batch(self) -> int:
        """The number of records in the largest request."""
        return max((len(request.uids) for request in self.requests), default=0)

    def destination(self, signal: OutboxSignal = LOGS, **options: Any) -> Destination:
        """Return the destination that sends here."""
        return Destination(protocol=self.protocol, url=self.url_of(signal), signal=signal.name, **options)

    def handle(self, request: Request) -> Reply | grpc.StatusCode:
        """Note a request, and return the reply to it."""
        with self._lock:
            self.requests.append(request)
            reply = self.reply_to(len(self.requests) - 1, request)
            if reply in {Reply.ACCEPT, Reply.PARTIAL}:
                self.accepted += request.uids
        self.arrived.set()
        if reply is Reply.SILENCE:
            self._stopped.wait(60)
        return reply

    def success(self, reply: Reply, signal: OutboxSignal) -> bytes | None:
        """Return the message of a success; `None` for a failure."""
        if reply is Reply.PARTIAL:
            response, rejected = _RESPONSES[signal]
            outcome = {rejected: self.rejected, "error_message": "too old"}
            return response(partial_success=outcome).SerializeToString()
        return _SUCCESSES.get(reply)

    def stop_waiting(self) -> None:
        """End every silence."""
        self._stopped.set()


def accept_all(number: int, request: Request) -> Reply:
    return Reply.ACCEPT


def always(reply: Reply) -> ReplyTo:
    return lambda number, request: reply


@contextmanager
def serving(
    protocol: OtlpProtocol,
    reply_to: ReplyTo = accept_all,
    *,
    port: int = 0,
    certificates: Certificates | None = None,
    wants_client_certificate: bool = False,
) -> Iterator[Server]:
    """Run a server during the block.

    Args:
        protocol: HTTP or gRPC.
        reply_to: Chooses the replies.
        port: The port; 0 for any that is free.
        certificates: The server's certificates; `None` for no TLS.
        wants_client_certificate: True if only clients with a certificate may connect.
    """
    server = Server(protocol, reply_to, scheme="http" if certificates is None else "https")
    run = _serving_http if protocol is OtlpProtocol.HTTP else _serving_grpc
    with run(server, port, certificates, wants_client_certificate):
        try:
            yield server
        finally:
            server.stop_waiting()


@contextmanager
def _serving_http(
    server: Server, port: int, certificates: Certificates | None, wants_client_certificate: bool
) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            headers = {name.lower(): value for name, value in self.headers.items()}
            signal = TRACES if self.path.endswith("/v1/traces") else LOGS
            request = Request(body, headers, f"{self.client_address}", signal)
            reply = server.handle(request)
            if reply is Reply.SILENCE:
                self.close_connection = True
                return
            assert isinstance(reply, Reply)
            if (message := server.success(reply, request.signal)) is not None:
                self.respond(200, {"Content-Type": "application/x-protobuf"}, message)
            else:
                retry_after = {"Retry-After": f"{server.retry_after_seconds}"} if reply in _WITH_RETRY_AFTER else {}
                status, _ = _FAILURES[reply]
                self.respond(status, {"Content-Type": "text/plain", **retry_after}, _text(reply, request).encode())

        def respond(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
            with suppress(OSError):  # a client may close in the middle of a huge response
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    class HttpServer(ThreadingHTTPServer):
        def get_request(self) -> tuple[socket.socket, Any]:
            connection, address = super().get_request()
            if certificates is None:
                return connection, address
            context = certificates.server_context(wants_client=wants_client_certificate)
            # The handshake is done by the thread of the connection, with its first read.
            return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

        def handle_error(self, *_: Any) -> None:
            """Log nothing: a failed handshake is what some tests want."""

    http_server = HttpServer(("127.0.0.1", port), Handler)
    server.port = http_server.server_port
    with serving_in_thread(http_server):
        yield


@contextmanager
def _serving_grpc(
    server: Server, port: int, certificates: Certificates | None, wants_client_certificate: bool
) -> Iterator[None]:
    def export(signal: OutboxSignal, body: bytes, context: grpc.ServicerContext) -> bytes:
        metadata = {key: str(value) for key, value in context.invocation_metadata()}
        request = Request(body, metadata, context.peer(), signal)
        reply = server.handle(request)
        if isinstance(reply, grpc.StatusCode):
            context.abort(reply, "no such luck")
        if reply is Reply.SILENCE:
            context.abort(grpc.StatusCode.CANCELLED, "the server was stopped")
        if (message := server.success(reply, request.signal)) is not None:
            return message
        if reply in _WITH_RETRY_AFTER:
            details = AnyMessage()
            details.Pack(RetryInfo(retry_delay={"seconds": server.retry_after_seconds}))
            status = Status(details=[details]).SerializeToString()
            context.set_trailing_metadata((("grpc-status-details-bin", status),))
        context.abort(_FAILURES[reply][1], _text(reply, request))
        raise AssertionError("abort raises")

    grpc_server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    for service, signal in _SERVICES.items():
        # Bytes in, bytes out: no serializers.
        handler = grpc.unary_unary_rpc_method_handler(partial(export, signal))
        grpc_server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": handler}),))
    address = f"127.0.0.1:{port}"
    if certificates is None:
        server.port = grpc_server.add_insecure_port(address)
    else:
        server.port = grpc_server.add_secure_port(address, certificates.grpc_credentials(wants_client_certificate))
    grpc_server.start()
    try:
        yield
    finally:
        grpc_server.stop(0).wait(LIMIT_SECONDS)


def _text(reply: Reply, request: Request) -> str:
    """Return the text of a failure. That of `UNAUTHENTICATED` repeats all headers, as a careless server may do."""
    if reply is Reply.TOO_LARGE:
        return "no such luck: received message larger than max"  # by this text a gRPC client recognizes it
    return f"no such luck: {request.headers}" if reply is Reply.UNAUTHENTICATED else "no such luck"


@dataclass(frozen=True)
class Certificates:
    """A certificate authority, and certificates of servers and clients that it signs.

    Attributes:
        directory: The directory for the files.
        authority: The authority.
    """

    directory: Path
    authority: trustme.CA = field(default_factory=trustme.CA)

    def server_context(self, *, name: str = "127.0.0.1", wants_client: bool = False) -> ssl.SSLContext:
        """Return the TLS settings of a server with a new certificate for the name."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(name).configure_cert(context)
        if wants_client:
            self.authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def grpc_credentials(self, wants_client: bool) -> grpc.ServerCredentials:
        """Return the same for a server of gRPC."""
        issued = self.authority.issue_cert("127.0.0.1")
        chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
        return grpc.ssl_server_credentials(
            [(issued.private_key_pem.bytes(), chain)],
            root_certificates=self.authority.cert_pem.bytes() if wants_client else None,
            require_client_auth=wants_client,
        )

    @property
    def ca_file(self) -> str:
        """The file with the authority's own certificate."""
        path = self.directory / "ca.pem"
        self.authority.cert_pem.write_to_path(str(path))
        return str(path)

    def client(self) -> dict[str, str]:
        """Return the options of a destination that shows a client's certificate."""
        issued = self.authority.issue_cert("client@example.org")
        certificate, key = self.directory / "client.pem", self.directory / "client.key"
        issued.cert_chain_pems[0].write_to_path(str(certificate))
        issued.private_key_pem.write_to_path(str(key))
        return {"client_certificate": str(certificate), "client_key": str(key)}


@dataclass
class Relay:
    """A relay between clients and a server, which counts what passes, and can cut the connections.

    Attributes:
        port: The port to connect to.
        sent: The number of bytes that clients have sent.
    """

    port: int = 0
    sent: int = 0
    _sockets: list[socket.socket] = field(default_factory=list)

    def cut(self) -> None:
        """Close every connection."""
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def relaying(port: int) -> Iterator[Relay]:
    """Run a relay to a port of this host during the block."""
    relay = Relay()
    listener = socket.create_server(("127.0.0.1", 0))
    relay.port = listener.getsockname()[1]

    def copy(source: socket.socket, target: socket.socket, counts: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                relay.sent += len(data) if counts else 0
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    copying: list[threading.Thread] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", port))
                relay._sockets += [client, server]
                for ends in ((client, server, True), (server, client, False)):
                    copying.append(threading.Thread(target=copy, args=ends, daemon=True))
                    copying[-1].start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        join(thread)
        relay.cut()
        join(*copying)
        for connection in relay._sockets:
            connection.close()
