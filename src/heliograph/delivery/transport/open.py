"""Open the transport of a destination's protocol."""

from __future__ import annotations

from typing_extensions import assert_never

from heliograph.delivery.transport.contract import Transport
from heliograph.delivery.transport.destination import Destination, OtlpProtocol
from heliograph.delivery.transport.http import HttpTransport


def open_transport(destination: Destination) -> Transport:
    """Return a transport to the destination. It connects with its first request, not here."""
    match destination.protocol:
        case OtlpProtocol.HTTP:
            return HttpTransport(destination)
        case OtlpProtocol.GRPC:
            # Imported here because grpc takes a tenth of a second to import, and few programs use it.
            from heliograph.delivery.transport.grpc import GrpcTransport

            return GrpcTransport(destination)
        case unknown:
            assert_never(unknown)
