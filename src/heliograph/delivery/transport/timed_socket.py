"""Sockets on which every operation ends at one deadline.

A socket's own timeout applies to each operation separately, so a server that sends one byte a second can hold its client
as long as it likes. Here each operation gets the time that remains until the deadline of the whole request.

Rejected: a timer that closes the socket at the deadline. It needs one more thread for each request.

This module is imported with the first connection, and not before: gevent and eventlet replace the class `socket.socket`, and
subclasses of the old one would block all of their threads.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import TYPE_CHECKING, Any, Final

from heliograph.runtime.deadline import Deadline

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    Socket = socket.socket
else:
    Socket: Final = socket.socket
    """The class of the system's sockets, or the one that replaced it."""


class TimedSocket(Socket):
    """A socket whose every operation ends at the deadline.

    It overrides exactly the methods that `http.client` and `ssl` use to read and write.

    Attributes:
        deadline: The end of the current request. Set it before each request.
    """

    deadline: Deadline

    def set_remaining(self, share: int = 1) -> None:
        """Set the timeout of the next operation to the remaining time, divided by `share`.

        Raises:
            TimeoutError: No time remains.
        """
        remaining = self.deadline.remaining() / 1000
        # Checked here, because settimeout(0) would not mean "at once" but make the socket non-blocking.
        if remaining <= 0:
            raise TimeoutError("the deadline is past")
        self.settimeout(remaining / share)

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        """Read the available bytes, or wait for the first of them until the deadline."""
        self.set_remaining()
        return super().recv_into(buffer, nbytes or memoryview(buffer).nbytes, flags)

    def send(self, data: ReadableBuffer, flags: int = 0, **options: Any) -> int:
        """Write some of the data. `SSLSocket.sendall` calls this in a loop, and gevent does so with an option of its own."""
        self.set_remaining()
        return super().send(data, flags, **options)

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        """Write all of the data."""
        self.set_remaining()
        super().sendall(data, flags)

    def is_idle(self) -> bool:
        """Return True if the connection is open and nothing waits to be read, so it can carry another request.

        Readable bytes mean that the server closed the connection, or sent bytes without a request.
        """
        self.settimeout(0)
        try:
            # Below TLS on purpose: SSLSocket.recv takes no flags, and it is enough to know that any bytes are there.
            Socket.recv(self, 1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def interrupt(self) -> None:
        """End the operation that another thread waits for. That thread then closes the socket."""
        with contextlib.suppress(OSError):
            # Below TLS on purpose: SSLSocket.shutdown removes its TLS state, which the other thread is using.
            if hasattr(Socket, "shutdown"):
                Socket.shutdown(self, socket.SHUT_RDWR)
            else:
                # This is eventlet's class, which holds the system's socket.
                self.fd.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]


class TimedTlsSocket(TimedSocket, ssl.SSLSocket):
    """A `TimedSocket` with TLS."""
