"""OTLP over gRPC: a call with bytes in and bytes out, without protobuf's objects.

Source: OTLP specification, OTLP/gRPC.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

import grpc  # type: ignore[import-untyped]

from heliograph.delivery.transport.destination import Destination
from heliograph.delivery.transport.endpoint import port_of, scheme_of
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

METHOD: Final = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

# An odd limit, by which gRPC's refusal of an answer is told from a server's refusal of a request.
_RESPONSE_LIMIT: Final = MAX_RESPONSE_BYTES - 1
_RESPONSE_TOO_LARGE: Final = re.compile(rf"larger than max \(\d+ vs\. {_RESPONSE_LIMIT}\)")
_TLS_FAILED: Final = re.compile(
    r"^failed to connect .*\b(handshake failed|security handshaker)", re.IGNORECASE | re.DOTALL
)


class GrpcTransport:
    """Sends over gRPC.

    Args:
        destination: Where to. Its certificates are read anew for each channel.
    """

    usual_limit_bytes = 4 * 1024 * 1024

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._secrets = destination.secrets
        self._metadata = tuple(destination.headers.items())
        self._compression = grpc.Compression.Gzip if destination.gzip else grpc.Compression.NoCompression
        self._closed = False
        self._channel: Any = None
        self._left_to_parents: list[Any] = []
        self._lock = threading.Lock()
        after_fork_in_child(self._begin_in_child)

    def send(self, body: bytes, timeout_seconds: float) -> Verdict:
        """What the server made of the request; see `heliograph.delivery.transport.open.Transport`."""
        if (too_large := check_request_size(body)) is not None:
            return too_large
        try:
            call = self._connected().unary_unary(METHOD)
            answer = call(body, max(0.0, timeout_seconds), self._metadata, compression=self._compression)
        except OSError as error:
            return no_response(Reason.TLS, f"the certificates cannot be used: {error.strerror}")
        except ValueError:  # of a channel that was closed just now
            return no_response(Reason.CANCELLED, "the transport was closed")
        except grpc.RpcError as error:
            return self._judge(error)
        return verdict_from_grpc("OK", "", body=answer, secrets=self._secrets)

    def close(self) -> None:
        """End; a request that is under way is cancelled."""
        self._closed = True
        self._drop()

    def _judge(self, error: Any) -> Verdict:
        code, details = error.code().name, error.details() or ""
        if self._closed:
            return no_response(Reason.CANCELLED, "the transport was closed")
        if _RESPONSE_TOO_LARGE.search(details):
            return unreadable_response("gRPC OK", "more than 4 MiB")
        if code == "UNAVAILABLE":
            # A channel that has failed waits for up to two minutes before it tries again; a new one tries at once.
            self._drop()
            if _TLS_FAILED.search(details):
                return no_response(Reason.TLS, details, self._secrets)
        delay = _retry_delay(error.trailing_metadata() or ())
        return verdict_from_grpc(code, details, retry_delay_seconds=delay, secrets=self._secrets)

    def _connected(self) -> Any:
        with self._lock:
            if self._closed:
                raise ValueError("the transport was closed")
            if self._channel is None:
                self._channel = _open_channel(self._destination)
            return self._channel

    def _drop(self) -> None:
        with self._lock:
            channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _begin_in_child(self) -> None:
        """Leave the parent its channel; it is kept here unused, since its end would wait for threads that are not here."""
        self._left_to_parents.append(self._channel)
        self._channel, self._lock = None, threading.Lock()


def _open_channel(destination: Destination) -> Any:
    target = destination.url
    if scheme_of(target):
        host = urlsplit(target).hostname or ""
        target = f"{f'[{host}]' if ':' in host else host}:{port_of(target)}"
    options = [
        ("grpc.primary_user_agent", f"heliograph/{__version__}"),
        ("grpc.max_send_message_length", -1),  # requests are cut to size before
        ("grpc.max_receive_message_length", _RESPONSE_LIMIT),
        ("grpc.enable_retries", 0),  # whoever sends decides that
        ("grpc.use_local_subchannel_pool", 1),  # or a new channel would be given the failed connection of the last
        ("grpc.http_proxy", destination.proxy) if destination.proxy else ("grpc.enable_http_proxy", 0),
    ]
    if not destination.secure:
        return grpc.insecure_channel(target, options)
    return grpc.secure_channel(target, _credentials(destination), options)


def _credentials(destination: Destination) -> object:
    certificate = _file(destination.client_certificate)
    return grpc.ssl_channel_credentials(
        root_certificates=_file(destination.ca_file),
        private_key=_file(destination.client_key) or certificate,
        certificate_chain=certificate,
    )


def _file(path: str | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()


def _retry_delay(metadata: Any) -> float | None:
    for key, value in metadata:
        if key == "grpc-status-details-bin":
            return read_retry_delay(cast("bytes", value))
        if key == "google.rpc.retryinfo-bin":
            return read_retry_info(cast("bytes", value))
    return None
