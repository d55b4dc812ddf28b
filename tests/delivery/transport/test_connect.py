"""Connections with one deadline: sockets, the lookup of names, and attempts at several addresses."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from heliograph.delivery.transport.connect import THREAD_NAME, Address, Resolver, connect, start_tls
from heliograph.delivery.transport.timed_socket import TimedSocket
from heliograph.runtime.deadline import Deadline
from scripts import python


def address_of(listener: socket.socket) -> Address:
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", listener.getsockname())


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that accepts connections, and never reads or writes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def connection(listener: socket.socket) -> Iterator[TimedSocket]:
    with connect([address_of(listener)], Deadline(10_000), lambda socket: None) as connection:
        yield connection


class SlowLookup:
    """Replaces `socket.getaddrinfo` by a lookup that waits for `release`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> None:
        self.release = threading.Event()
        self.calls = 0
        self._error = error
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def _look_up(self, *arguments: object, **_: object) -> list[Any]:
        self.calls += 1
        self.release.wait(60)
        if self._error is not None:
            raise self._error
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))]


def test_lookup_that_hangs_is_abandoned_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next call waits for the same lookup, so there is never more than one thread."""
    slow = SlowLookup(monkeypatch)
    resolver = Resolver("collector.example", 4318)
    for _ in range(2):
        with pytest.raises(TimeoutError, match="not looked up in time"):
            resolver.addresses(Deadline(50))
    slow.release.set()

    assert resolver.addresses(Deadline(10_000))[0][4] == ("127.0.0.1", 1)
    assert slow.calls == 1


def test_finished_lookup_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses change, so each connection looks the name up again."""
    slow = SlowLookup(monkeypatch)
    slow.release.set()
    resolver = Resolver("collector.example", 4318)
    for _ in range(2):
        resolver.addresses(Deadline(10_000))

    assert slow.calls == 2


def test_failed_lookup_is_raised_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error may be of any kind."""
    slow = SlowLookup(monkeypatch, error=UnicodeError("label too long"))
    slow.release.set()
    resolver = Resolver("collector.example", 4318)
    for _ in range(2):
        with pytest.raises(UnicodeError):
            resolver.addresses(Deadline(10_000))

    assert slow.calls == 2


def test_lookup_is_cancelled_from_its_first_moment_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lookup runs in the calling thread here, as in an interpreter that ends, and so before `addresses` waits for it."""

    def no_more_threads(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    def look_up(*_: object, **__: object) -> list[Any]:
        resolver.cancel()
        return []

    resolver = Resolver("collector.example", 4318)
    monkeypatch.setattr(threading.Thread, "start", no_more_threads)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)

    with pytest.raises(ConnectionAbortedError):
        resolver.addresses(Deadline(10_000))


def test_lookup_whose_start_an_interrupt_ends_is_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread whose start was interrupted may never run, so nobody waits for it."""

    def interrupted(_: threading.Thread) -> None:
        raise KeyboardInterrupt

    slow = SlowLookup(monkeypatch)
    slow.release.set()
    resolver = Resolver("collector.example", 4318)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            resolver.addresses(Deadline(10_000))
    resolver.addresses(Deadline(60_000))

    assert slow.calls == 1


def test_lookup_is_cancelled_by_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread of the lookup goes on, and its late result is dropped."""
    slow = SlowLookup(monkeypatch)
    resolver = Resolver("collector.example", 4318)
    problems: list[OSError] = []

    def wait() -> None:
        try:
            resolver.addresses(Deadline(60_000))
        except OSError as error:
            problems.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    while not slow.calls:
        time.sleep(0.001)
    resolver.cancel()
    waiting.join(10)
    slow.release.set()

    assert isinstance(problems[0], ConnectionAbortedError)
    resolver.cancel()  # there is nothing to cancel any more


def test_ip_address_needs_no_thread() -> None:
    """An address needs no name server, and is found at once."""
    before = threading.active_count()

    assert Resolver("127.0.0.1", 4318).addresses(Deadline(0))[0][4] == ("127.0.0.1", 4318)
    assert Resolver("::1", 4318).addresses(Deadline(0))[0][4][:2] == ("::1", 4318)
    assert threading.active_count() <= before
    assert THREAD_NAME not in {thread.name for thread in threading.enumerate()}


def test_first_address_that_accepts_is_used(listener: socket.socket) -> None:
    """Addresses that refuse are passed over; each socket is shown before it connects."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        refusing = address_of(closed)
    shown: list[TimedSocket] = []
    with connect([refusing, address_of(listener)], Deadline(10_000), shown.append) as connection:
        assert connection.getpeername() == listener.getsockname()

    assert len(shown) == 2
    assert shown[0].fileno() == -1  # closed


def test_error_of_the_last_address_is_raised() -> None:
    """If there is no address, the error says so."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        refusing = address_of(closed)

    with pytest.raises(ConnectionRefusedError):
        connect([refusing], Deadline(10_000), lambda socket: None)
    with pytest.raises(OSError, match="no address"):
        connect([], Deadline(10_000), lambda socket: None)


def test_each_address_gets_its_share_of_the_time(monkeypatch: pytest.MonkeyPatch, listener: socket.socket) -> None:
    """An address that never answers must not use up the time of the next one."""
    timeouts: list[float | None] = []

    def note(connection: TimedSocket, address: object) -> None:
        timeouts.append(connection.gettimeout())
        raise TimeoutError("no answer")

    monkeypatch.setattr(TimedSocket, "connect", note)
    with pytest.raises(TimeoutError):
        connect([address_of(listener)] * 2, Deadline(60_000), lambda socket: None)

    first, second = timeouts
    assert first == pytest.approx(30, abs=5)
    assert second == pytest.approx(60, abs=10)


def test_deadline_that_is_past_is_a_timeout_of_every_operation(connection: TimedSocket) -> None:
    """A timeout of 0 would make the socket non-blocking instead."""
    connection.deadline = Deadline(0)
    for operation in (
        lambda: connection.send(b"x"),
        lambda: connection.sendall(b"x"),
        lambda: connection.recv_into(bytearray(1)),
    ):
        with pytest.raises(TimeoutError, match="deadline is past"):
            operation()


def test_reading_ends_at_the_deadline(connection: TimedSocket) -> None:
    """The socket has no timeout of its own."""
    connection.settimeout(None)
    connection.deadline = Deadline(50)
    with pytest.raises(TimeoutError):
        connection.recv_into(bytearray(1))


def test_writing_ends_at_the_deadline(connection: TimedSocket) -> None:
    """The other end reads nothing, and the socket has no timeout of its own."""
    connection.settimeout(None)
    connection.deadline = Deadline(200)
    with pytest.raises(TimeoutError):
        connection.sendall(bytes(64 * 2**20))


def test_connection_is_idle_until_something_is_readable(listener: socket.socket, connection: TimedSocket) -> None:
    """Bytes without a request, and the end of the connection, make it unusable."""
    other_end, _ = listener.accept()
    with other_end:
        assert connection.is_idle()
        other_end.sendall(b"x")
        assert not connection.is_idle()
        connection.deadline = Deadline(10_000)
        connection.recv_into(bytearray(1))
        assert connection.is_idle()
    assert not connection.is_idle()


def reset(listener: socket.socket, data: bytes) -> None:
    """Send data to the other end, and end the connection at once, without waiting for anything."""
    other_end, _ = listener.accept()
    other_end.sendall(data)
    other_end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    other_end.close()


def test_connection_that_was_reset_is_not_idle(listener: socket.socket, connection: TimedSocket) -> None:
    """The next request gets a new one."""
    reset(listener, b"")

    assert not connection.is_idle()


def test_connection_that_is_reset_before_the_handshake_is_closed(
    listener: socket.socket, connection: TimedSocket
) -> None:
    """The server speaks before the client, which TLS does not allow, and ends the connection."""
    reset(listener, b"x")

    with pytest.raises(ssl.SSLError, match="Closed before TLS handshake"):
        start_tls(connection, ssl.create_default_context(), "localhost", lambda socket: None)
    assert connection.fileno() == -1


def test_interrupt_ends_the_wait_of_another_thread(connection: TimedSocket) -> None:
    """The descriptor stays open until that thread closes it."""
    connection.deadline = Deadline(60_000)
    received: list[int] = []
    waiting = threading.Thread(target=lambda: received.append(connection.recv_into(bytearray(1))))
    waiting.start()
    connection.interrupt()
    waiting.join(10)

    assert received == [0]
    assert connection.fileno() != -1


FORK_DURING_AN_IMPORT = """
import signal, socket
from importlib.machinery import SourceFileLoader
from heliograph.delivery.transport.connect import connect
from heliograph.runtime.deadline import Deadline

listener = socket.create_server(("127.0.0.1", 0))
addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", listener.getsockname())]
importing = threading.Event()

execute = SourceFileLoader.exec_module

def execute_slowly(loader, module):
    if module.__name__.endswith("timed_socket"):
        importing.set()
        time.sleep(0.5)
    execute(loader, module)

def use():
    connect(addresses, Deadline(10_000), lambda socket: None).close()

SourceFileLoader.exec_module = execute_slowly
thread = threading.Thread(target=use)
thread.start()
importing.wait()
pid = os.fork()
if not pid:
    signal.alarm(60)  # it ends a child that waits for ever
    use()
    os._exit(0)
report(status=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
thread.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_child_that_is_forked_during_the_first_connection_can_connect() -> None:
    """The sockets are imported with the first connection, and the child must not wait for the import of a thread that it lacks."""
    assert python(FORK_DURING_AN_IMPORT, fresh=True, PYTHONWARNINGS="ignore").only == {"status": 0}
