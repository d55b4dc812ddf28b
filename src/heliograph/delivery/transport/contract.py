"""The contract that both transports keep (OTLP over HTTP and over gRPC).

`tests/delivery/transport/test_contract.py` runs the same tests over both.

Threads: any thread may call `send` and `close` at any time. Over HTTP a second `send` waits for the first, because there is
one connection. `close` ends a `send` that another thread is in.

Fork: in the child of a fork the same transport object stays usable, and opens a connection of its own with the next
request. It never writes to the parent's connection: two processes that write to one connection would mix their requests.
"""

from __future__ import annotations

from typing import Protocol

from heliograph.delivery.transport.verdict import Verdict


class Transport(Protocol):
    """Sends requests to one destination, and returns a verdict on each."""

    @property
    def usual_limit_bytes(self) -> int:
        """The size of a request, before compression, that servers of this protocol usually accept. Batches are smaller."""

    def send(self, body: bytes, timeout_seconds: float) -> Verdict:
        """Send one request, and return what its response means.

        No failure of the network or of the server raises an exception: each has a verdict. The transport itself never
        repeats a request and never follows a redirect.

        Args:
            body: The encoded request of the destination's signal, such as an `ExportLogsServiceRequest`. One of more than 64 MiB is not
                sent; its verdict is to split it.
            timeout_seconds: The longest that the whole exchange may take: name lookup, connection, TLS handshake,
                request, and response up to its last byte.

        Raises:
            ValueError: The body is empty.
        """

    def close(self) -> None:
        """Cancel the request that another thread is sending, and every later one. Close the connection."""
