"""A socket whose operations end at a deadline can be interrupted by another thread, also where its class is eventlet's."""

from __future__ import annotations

import pytest

from packages import require
from scripts import python

PATCHES = {"": "", "eventlet": "import eventlet; eventlet.monkey_patch()"}


@pytest.mark.parametrize("library", PATCHES)
def test_interrupt_ends_a_connection(library: str) -> None:
    """The peer sees its end, and a second call changes nothing."""
    if library:
        require(library)
    ran = python(
        f"""
{PATCHES[library]}
import socket
from heliograph.delivery.transport.timed_socket import TimedSocket
server = socket.create_server(("127.0.0.1", 0))
connection = TimedSocket(socket.AF_INET, socket.SOCK_STREAM, 0)
connection.connect(server.getsockname())
peer, _ = server.accept()
connection.interrupt()
connection.interrupt()
report(received=peer.recv(10).decode())
for each in (connection, peer, server):
    each.close()
""",
        fresh=True,
        PYTHONWARNINGS="ignore",
    )

    assert ran.only == {"received": ""}
