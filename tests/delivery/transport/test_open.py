"""The transport that a destination gets."""

from __future__ import annotations

import subprocess
import sys

import pytest

from heliograph.delivery.transport.destination import Destination, OtlpProtocol
from heliograph.delivery.transport.grpc import GrpcTransport
from heliograph.delivery.transport.http import HttpTransport
from heliograph.delivery.transport.open import open_transport


@pytest.mark.parametrize(("protocol", "kind"), [(OtlpProtocol.HTTP, HttpTransport), (OtlpProtocol.GRPC, GrpcTransport)])
def test_each_protocol_has_its_transport(protocol: OtlpProtocol, kind: type) -> None:
    """A transport connects with its first request only, so no server is needed here."""
    transport = open_transport(Destination(protocol=protocol, url="http://127.0.0.1:9"))
    transport.close()

    assert isinstance(transport, kind)


def test_grpc_is_not_imported_for_http() -> None:
    """A program that sends by HTTP does not pay for the import of gRPC, which takes a tenth of a second."""
    program = (
        "import sys\n"
        "from heliograph.delivery.transport.destination import Destination, OtlpProtocol\n"
        "from heliograph.delivery.transport.open import open_transport\n"
        "open_transport(Destination(protocol=OtlpProtocol.HTTP, url='http://127.0.0.1:9'))\n"
        "sys.exit('grpc' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
