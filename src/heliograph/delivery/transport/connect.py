"""TCP and TLS connections that keep one deadline for all that is done on them.

A timeout of a socket is one of each operation, so a server that sends a byte a second holds its client for as long as
it likes. Here each operation gets what is left until the deadline, and no thread has to watch over it. (Rejected: a
timer that closes the socket, which is one more thread for each request.)
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from heliograph.runtime.deadline import Deadline

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

Address: TypeAlias = "tuple[int, int, int, str, Any]"
"""What `socket.getaddrinfo` gives."""

THREAD_NAME: Final = "heliograph-resolver"


class TimedSocket(socket.socket):
    """A socket whose every operation ends at the deadline; `http.client` reads and writes by these methods."""

    deadline: Deadline

    def set_remaining(self, share: int = 1) -> None:
        """Give the next operation what is left, or one part of that many.

        Raises:
            TimeoutError: Nothing is left.
        """
        remaining = self.deadline.remaining() / 1000
        if remaining <= 0:
            raise TimeoutError("the deadline is past")
        self.settimeout(remaining / share)

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        """Read what is there, or wait for some of it until the deadline."""
        self.set_remaining()
        return super().recv_into(buffer, nbytes or memoryview(buffer).nbytes, flags)

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        """Write some; `SSLSocket.sendall` is a loop of it."""
        self.set_remaining()
        return super().send(data, flags)

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        """Write all of it."""
        self.set_remaining()
        super().sendall(data, flags)

    def is_idle(self) -> bool:
        """Whether the connection is open, and nothing waits to be read: so that another request can go over it."""
        self.settimeout(0)
        try:
            # Past TLS, whose own method takes no flags: to know that anything is there is enough.
            socket.socket.recv(self, 1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def interrupt(self) -> None:
        """End what another thread waits for on it; that thread closes it."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self, socket.SHUT_RDWR)  # past TLS, whose own method takes its state away


class TimedTlsSocket(TimedSocket, ssl.SSLSocket):
    """The same over TLS."""


class Resolver:
    """Looks up a host within a time.

    A look-up cannot be interrupted, so it has a daemon thread, which is left behind when the time is over. There is
    never more than one: who asks again waits for the one that is under way.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._pending: Future[Sequence[Address]] | None = None

    def addresses(self, deadline: Deadline) -> Sequence[Address]:
        """The addresses of the host, the best first.

        Raises:
            OSError: There are none, or not in time (`TimeoutError`), or `cancel` was called.
        """
        if _is_address(self._host):
            return self._look_up()
        if self._pending is None:
            self._pending = self._start()
        pending = self._pending
        try:
            return pending.result(deadline.remaining() / 1000)
        except FutureTimeoutError:  # not a TimeoutError before Python 3.11
            raise TimeoutError("the host's name was not looked up in time") from None
        finally:
            if pending.done():
                self._pending = None

    def cancel(self) -> None:
        """Let whoever waits go."""
        if (pending := self._pending) is not None:
            with contextlib.suppress(InvalidStateError):
                pending.set_exception(ConnectionAbortedError("the transport was closed"))

    def _start(self) -> Future[Sequence[Address]]:
        future: Future[Sequence[Address]] = Future()

        def work() -> None:
            try:
                found = self._look_up()
            except BaseException as error:  # OSError, or UnicodeError for a name that no host can have
                with contextlib.suppress(InvalidStateError):
                    future.set_exception(error)
            else:
                with contextlib.suppress(InvalidStateError):
                    future.set_result(found)

        try:
            threading.Thread(target=work, name=THREAD_NAME, daemon=True).start()
        except RuntimeError:  # the interpreter is ending, and starts no threads any more
            work()
        return future

    def _look_up(self) -> Sequence[Address]:
        return socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)


def connect(addresses: Sequence[Address], deadline: Deadline, begun: Callable[[TimedSocket], None]) -> TimedSocket:
    """A connection to the first address that takes it; each gets its share of the time that is left.

    Args:
        addresses: Where to try.
        deadline: When to have one, and the connection's first deadline.
        begun: Is told each socket before it is waited for.

    Raises:
        OSError: None took it, or not in time.
    """
    problem: OSError = OSError("the host has no address")
    for tried, (family, kind, protocol, _, address) in enumerate(addresses):
        connection = TimedSocket(family, kind, protocol)
        connection.deadline = deadline
        try:
            begun(connection)
            connection.set_remaining(share=len(addresses) - tried)
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            connection.close()
            problem = error
        else:
            return connection
    raise problem


def over_tls(
    connection: TimedSocket, context: ssl.SSLContext, host: str, begun: Callable[[TimedSocket], None]
) -> TimedSocket:
    """The connection with TLS on it, within its deadline; closed where that fails.

    Raises:
        OSError: The server is not trusted (`ssl.SSLError`), or was lost, or was not in time.
    """
    context.sslsocket_class = TimedTlsSocket
    deadline = connection.deadline
    try:
        secured = cast(
            "TimedTlsSocket", context.wrap_socket(connection, server_hostname=host, do_handshake_on_connect=False)
        )
    except OSError:
        connection.close()
        raise
    secured.deadline = deadline
    try:
        begun(secured)
        secured.set_remaining()
        secured.do_handshake()
    except OSError:
        secured.close()
        raise
    return secured


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
