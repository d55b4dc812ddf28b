"""OTLP over gRPC. A call sends the encoded bytes and returns bytes, so no protobuf objects are built.

Source: OTLP specification, OTLP/gRPC.

Threads: any thread may call `send` and `close`. A channel of gRPC is thread-safe, and so calls need no lock. `_lock`
guards `_channel`, which is opened by the first call and discarded after a failure. Closing a channel cancels its calls in
other threads; it happens outside the lock, because it may wait for them.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

import grpc  # type: ignore[import-untyped]

from heliograph.delivery.transport.contract import Transport
from heliograph.delivery.transport.destination import Destination
from heliograph.delivery.transport.endpoint import port_of, scheme_of
from heliograph.delivery.transport.explain import explain_grpc_details
from heliograph.delivery.transport.response import MAX_RESPONSE_BYTES, read_retry_delay, read_retry_info
from heliograph.delivery.transport.verdict import (
    Reason,
    Verdict,
    check_request_size,
    no_response,
    unreadable_response,
    verdict_from_grpc,
)
from heliograph.runtime.fork import after_fork_in_child
from heliograph.version import __version__

METHODS: Final = {
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}

# gRPC reports a response above our limit with the same code as a server reports a request above its limit
# (RESOURCE_EXHAUSTED), and only the number in the text shows which of the two it was. Servers use round numbers, so an odd
# limit is ours.
_RESPONSE_LIMIT: Final = MAX_RESPONSE_BYTES - 1
_RESPONSE_TOO_LARGE: Final = re.compile(rf"larger than max \(\d+ vs\. {_RESPONSE_LIMIT}\)")
_TLS_FAILED: Final = re.compile(
    r"^failed to connect .*\b(handshake failed|security handshaker)", re.IGNORECASE | re.DOTALL
)


class GrpcTransport(Transport):
    """Sends requests over gRPC.

    Args:
        destination: The server. Its certificate files are read again for each new channel.
    """

    usual_limit_bytes = 4 * 1024 * 1024

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._secrets = destination.secrets
        self._metadata = tuple(destination.headers.items())
        self._compression = grpc.Compression.Gzip if destination.gzip else grpc.Compression.NoCompression
        self._closed = False
        self._channel: Any = None
        self._channels_of_parents: list[Any] = []
        self._lock = threading.Lock()
        after_fork_in_child(self._reset_in_child)

    def send(self, body: bytes, timeout_seconds: float) -> Verdict:
        """Send one request, and return what its response means; see `Transport.send`."""
        if (too_large := check_request_size(body)) is not None:
            return too_large
        try:
            call = self._open_channel().unary_unary(METHODS[self._destination.signal])
            response = call(body, max(0.0, timeout_seconds), self._metadata, compression=self._compression)
        except OSError as error:
            return no_response(Reason.TLS, f"the certificates cannot be loaded: {error.strerror}")
        except ValueError:
            # gRPC raises it for a channel that another thread has closed in the meantime.
            return no_response(Reason.CANCELLED, "the transport was closed")
        except grpc.RpcError as error:
            return self._verdict_of_error(error)
        return verdict_from_grpc("OK", "", body=response, secrets=self._secrets)

    def close(self) -> None:
        """Cancel the request that another thread is sending, and every later one. Close the connection."""
        # In this order: a call that opens a channel just now either sees the flag, or its channel is closed here.
        self._closed = True
        self._discard_channel()

    def _verdict_of_error(self, error: Any) -> Verdict:
        code, details = error.code().name, error.details() or ""
        if self._closed:
            return no_response(Reason.CANCELLED, "the transport was closed")
        if _RESPONSE_TOO_LARGE.search(details):
            return unreadable_response("gRPC OK", "more than 4 MiB")
        if code == "UNAVAILABLE":
            # A failed channel waits up to two minutes before it connects again, whatever our backoff says. A new
            # channel connects with the next call.
            self._discard_channel()
            if _TLS_FAILED.search(details):
                return no_response(Reason.TLS, details, self._secrets)
        if explanation := explain_grpc_details(details):
            text = f"{self._destination.shown_url}: {explanation}"
            return no_response(Reason.CONNECTION, text, self._secrets, explanation=explanation)
        delay = _retry_delay(error.trailing_metadata() or ())
        return verdict_from_grpc(code, details, retry_delay_seconds=delay, secrets=self._secrets)

    def _open_channel(self) -> Any:
        """Return the open channel, or a new one."""
        with self._lock:
            if self._closed:
                raise ValueError("the transport was closed")
            if self._channel is None:
                self._channel = _new_channel(self._destination)
            return self._channel

    def _discard_channel(self) -> None:
        with self._lock:
            channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _reset_in_child(self) -> None:
        """Start again without a channel, in the child of a fork; the parent keeps its channel.

        The parent's channel object is kept, unused: its destructor would wait for threads that only the parent has. The
        lock is replaced, because another thread of the parent may have held it at the fork.
        """
        self._channels_of_parents.append(self._channel)
        self._channel, self._lock = None, threading.Lock()


def _new_channel(destination: Destination) -> Any:
    target = destination.url
    if scheme_of(target):
        host = urlsplit(target).hostname or ""
        target = f"{f'[{host}]' if ':' in host else host}:{port_of(target)}"
    options = [
        ("grpc.primary_user_agent", f"heliograph/{__version__}"),
        ("grpc.max_receive_message_length", _RESPONSE_LIMIT),
        ("grpc.enable_retries", 0),  # the sender decides about retries
        # Otherwise a new channel would share the failed connection of the last one, and its waiting time.
        ("grpc.use_local_subchannel_pool", 1),
        # The destination names the proxy, or none; gRPC must not read the environment itself.
        ("grpc.http_proxy", destination.proxy) if destination.proxy else ("grpc.enable_http_proxy", 0),
    ]
    if not destination.secure:
        return grpc.insecure_channel(target, options)
    return grpc.secure_channel(target, _credentials(destination), options)


def _credentials(destination: Destination) -> object:
    certificate = _read_file(destination.client_certificate)
    return grpc.ssl_channel_credentials(
        root_certificates=_read_file(destination.ca_file),
        private_key=_read_file(destination.client_key) or certificate,
        certificate_chain=certificate,
    )


def _read_file(path: str | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()


def _retry_delay(metadata: Any) -> float | None:
    """Return the delay that a server asks for: in the details of its status, or as a trailer of its own."""
    for key, value in metadata:
        if key == "grpc-status-details-bin":
            return read_retry_delay(cast("bytes", value))
        if key == "google.rpc.retryinfo-bin":
            return read_retry_info(cast("bytes", value))
    return None
