"""What carries requests, whatever the protocol."""

from __future__ import annotations

from typing import Protocol

from heliograph.delivery.transport.destination import Destination, OtlpProtocol
from heliograph.delivery.transport.http import HttpTransport
from heliograph.delivery.transport.verdict import Judgement


class Transport(Protocol):
    """Sends requests to one destination, and says what became of each.

    It may be used by any thread, and goes on in the child of a fork with a connection of its own.
    """

    @property
    def usual_limit_bytes(self) -> int:
        """What servers usually take in one request, before compression; a batch stays below it."""

    def send(self, body: bytes, timeout_seconds: float) -> Judgement:
        """Send one request, and say what the server made of it.

        No fault of the network or of the server raises: each has its verdict. A request is never sent twice, and no
        redirect is followed.

        Args:
            body: An `ExportLogsServiceRequest`; more than 64 MiB are not sent, but to be split.
            timeout_seconds: The longest that all of it may take: looking up, connecting, TLS, sending, and the answer
                to its last byte.

        Raises:
            ValueError: The body is empty.
        """

    def close(self) -> None:
        """End; a request that is under way in another thread is cancelled, and so is every later one."""


def open_transport(destination: Destination) -> Transport:
    """The transport that the destination's protocol asks for."""
    if destination.protocol is OtlpProtocol.HTTP:
        return HttpTransport(destination)
    from heliograph.delivery.transport.grpc import GrpcTransport  # it takes a tenth of a second, and is seldom needed

    return GrpcTransport(destination)
