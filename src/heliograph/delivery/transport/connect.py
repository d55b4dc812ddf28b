"""TCP and TLS connections on which every operation ends at one deadline (`TimedSocket`).

Threads: one thread at a time connects, sends and receives (`HttpTransport` holds a lock for it). Another thread may call
`TimedSocket.interrupt` and `Resolver.cancel` at any time, to end the operation that the first one waits for. But it must not close
the socket: its file descriptor could be reused for another file while the first thread still reads from it.
"""

from __future__ import annotations

import contextlib

# Imported early: otherwise `socket.getaddrinfo` imports it in the resolver's thread, and in a child that is forked meanwhile the import's
# lock is never released.
import encodings.idna  # noqa: F401
import ipaddress
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from heliograph.runtime.deadline import Deadline
from heliograph.runtime.fork_lock import importing
from heliograph.runtime.thread_start import try_to_start

if TYPE_CHECKING:
    import ssl

    from heliograph.delivery.transport.timed_socket import TimedSocket

Address: TypeAlias = "tuple[int, int, int, str, Any]"
"""One result of `socket.getaddrinfo`."""

THREAD_NAME: Final = "heliograph-resolver"


class Resolver:
    """Looks up the addresses of one host, within a deadline.

    `socket.getaddrinfo` cannot be interrupted, so it runs in a daemon thread, which is abandoned at the deadline. There is
    never more than one such thread: the next call waits for the same lookup. Otherwise, while a name server does not respond, each
    attempt to send would add a thread.

    Args:
        host: A name or an IP address.
        port: The port, which becomes part of the addresses.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._pending: Future[Sequence[Address]] | None = None

    def addresses(self, deadline: Deadline) -> Sequence[Address]:
        """Return the addresses of the host, in the system's order of preference.

        Raises:
            OSError: The host has no address; or none was found in time (`TimeoutError`); or `cancel` was called.
        """
        # An address needs no name server, and so no thread.
        if _is_ip_address(self._host):
            return self._look_up()
        if (pending := self._pending) is None:
            # It is set before its thread runs, so that `cancel` finds it from the first moment of the lookup on.
            pending = self._pending = Future()
            try:
                self._start(pending)
            except BaseException:
                # A signal handler raised, and the thread may never run.
                self._pending = None
                raise
        try:
            return pending.result(deadline.remaining() / 1000)
        except FutureTimeoutError:
            # It is no TimeoutError before Python 3.11.
            raise TimeoutError("the host's name was not looked up in time") from None
        finally:
            # Only a finished lookup is forgotten, so that the next call finds one that still runs.
            if pending.done():
                self._pending = None

    def cancel(self) -> None:
        """End a call of `addresses` in another thread; it raises `ConnectionAbortedError`."""
        if (pending := self._pending) is not None:
            # The lookup may have ended in the meantime.
            with contextlib.suppress(InvalidStateError):
                pending.set_exception(ConnectionAbortedError("the transport was closed"))

    def _start(self, future: Future[Sequence[Address]]) -> None:
        def work() -> None:
            # `cancel` may set the exception at any moment, so either result may come too late.
            try:
                found = self._look_up()
            except BaseException as error:
                # An OSError, or a UnicodeError for a name that is no host name.
                with contextlib.suppress(InvalidStateError):
                    future.set_exception(error)
            else:
                with contextlib.suppress(InvalidStateError):
                    future.set_result(found)

        if not try_to_start(threading.Thread(target=work, name=THREAD_NAME, daemon=True)):
            work()

    def _look_up(self) -> Sequence[Address]:
        return socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)


def connect(addresses: Sequence[Address], deadline: Deadline, on_socket: Callable[[TimedSocket], None]) -> TimedSocket:
    """Return a connection to the first address that accepts one.

    Each address gets an equal share of the remaining time. A host often has an IPv6 address that does not answer, and the
    first attempt must not use up the time of the others.

    Args:
        addresses: The addresses, in the order to try them.
        deadline: The deadline of the attempts, and of the first request on the connection.
        on_socket: Called with each socket before it connects, so that another thread can interrupt it.

    Raises:
        OSError: No address accepted a connection in time. It is the error of the last address.
    """
    with importing:
        from heliograph.delivery.transport.timed_socket import TimedSocket  # not earlier: `timed_socket` says why

    problem: OSError = OSError("the host has no address")
    for tried, (family, kind, protocol, _, address) in enumerate(addresses):
        connection = TimedSocket(family, kind, protocol)
        connection.deadline = deadline
        try:
            on_socket(connection)
            connection.set_remaining(share=len(addresses) - tried)
            connection.connect(address)
            # http.client sends head and body separately. With Nagle's algorithm the body would wait for a late ACK.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            connection.close()
            problem = error
        else:
            return connection
    raise problem


def start_tls(
    connection: TimedSocket, context: ssl.SSLContext, host: str, on_socket: Callable[[TimedSocket], None]
) -> TimedSocket:
    """Return the connection with TLS, within the connection's deadline. Close the connection if that fails.

    Args:
        connection: A connected socket; it must not be used any more afterwards.
        context: The TLS settings.
        host: The name that must be in the server's certificate.
        on_socket: Called with the new socket before the handshake, so that another thread can interrupt it.

    Raises:
        OSError: The server is not trusted (`ssl.SSLError`), or the connection was lost, or the time is over.
    """
    with importing:
        from heliograph.delivery.transport.timed_socket import TimedTlsSocket  # not earlier: `timed_socket` says why

    context.sslsocket_class = TimedTlsSocket
    deadline = connection.deadline
    try:
        # The handshake is separate, because wrap_socket would do it before the new socket has its deadline.
        secured: ssl.SSLSocket = context.wrap_socket(connection, server_hostname=host, do_handshake_on_connect=False)
    except OSError:
        connection.close()
        raise
    # eventlet's context makes sockets of a class of its own.
    if not isinstance(secured, TimedTlsSocket):
        secured.close()
        raise OSError("TLS sockets of eventlet have no deadline: send to a Collector on this host over http://")
    secured.deadline = deadline
    try:
        on_socket(secured)
        secured.set_remaining()
        secured.do_handshake()
    except OSError:
        secured.close()
        raise
    return secured


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
