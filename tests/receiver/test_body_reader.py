"""The body of a request is read completely, by its length or in chunks. `test_server` has the same over connections."""

from __future__ import annotations

import io
from http.client import HTTPMessage

import pytest

from heliograph.receiver.body_reader import read_body
from heliograph.receiver.contract import NotKept
from heliograph.receiver.http_body import RequestError
from heliograph.receiver.memory import Memory
from heliograph.receiver.signals import MAX_REQUEST_BYTES

NEXT = b"POST /v1/logs HTTP/1.1\r\n"


def read(sent: bytes | io.BytesIO, memory: Memory | None = None, **headers: str) -> bytes:
    """Return the body of a request with these headers."""
    message = HTTPMessage()
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    with (memory or Memory()).request() as reserved:
        return read_body(message, io.BytesIO(sent) if isinstance(sent, bytes) else sent, reserved)


@pytest.mark.parametrize(
    ("sent", "headers", "body"),
    [
        (b"", {}, b""),
        (b"12345", {"Content_Length": "5"}, b"12345"),
        (b"12345", {"Content_Length": " 5 "}, b"12345"),
        (b"0\r\n\r\n", {"Transfer_Encoding": "chunked"}, b""),
        (b"3\r\n123\r\n2\r\n45\r\n0\r\n\r\n", {"Transfer_Encoding": "Chunked"}, b"12345"),
        (b"A;name=value\r\n1234567890\r\n0\r\nX: y\r\n\r\n", {"Transfer_Encoding": "chunked"}, b"1234567890"),
    ],
    ids=["none", "length", "spaces", "no_chunks", "chunks", "extensions"],
)
def test_body_is_read_and_nothing_behind_it(sent: bytes, headers: dict[str, str], body: bytes) -> None:
    """The next request of the connection begins there."""
    stream = io.BytesIO(sent + NEXT)

    assert read(stream, **headers) == body
    assert stream.read() == NEXT


def test_length_that_is_repeated_may_be_the_same() -> None:
    """Two that differ are an attempt to smuggle a request (RFC 9112, section 6.3)."""
    message = HTTPMessage()
    message["Content-Length"] = "5"
    message["Content-Length"] = "5"
    with Memory().request() as memory:
        assert read_body(message, io.BytesIO(b"12345"), memory) == b"12345"
        message["Content-Length"] = "6"
        with pytest.raises(RequestError, match="the Content-Length is not a number") as raised:
            read_body(message, io.BytesIO(b"12345"), memory)
    assert raised.value.status == 400


@pytest.mark.parametrize(
    ("sent", "headers", "status", "message"),
    [
        (b"12345", {"Content_Length": "+5"}, 400, "the Content-Length is not a number"),
        (b"12345", {"Content_Length": "6"}, 400, "the body is not complete"),
        (b"", {"Content_Length": str(MAX_REQUEST_BYTES + 1)}, 413, "the body has more than"),
        (b"", {"Transfer_Encoding": "gzip"}, 501, "the only Transfer-Encoding is chunked"),
        (b"-5\r\n12345", {"Transfer_Encoding": "chunked"}, 400, "the size of a chunk is not a number"),
        (b"2\r\n123\r\n", {"Transfer_Encoding": "chunked"}, 400, "a chunk is longer than its size"),
        (b"5\r\n123", {"Transfer_Encoding": "chunked"}, 400, "the body is not complete"),
        (b"1\r\n1\r\n%x\r\n" % MAX_REQUEST_BYTES, {"Transfer_Encoding": "chunked"}, 413, "the body has more than"),
        (b"0\r\n" + b"X: y\r\n" * 1000, {"Transfer_Encoding": "chunked"}, 431, "too many headers after the body"),
    ],
)
def test_body_that_cannot_be_read_has_a_status(sent: bytes, headers: dict[str, str], status: int, message: str) -> None:
    """Each status has a message that says what is wrong."""
    with pytest.raises(RequestError, match=message) as raised:
        read(sent, **headers)

    assert raised.value.status == status


def test_body_that_is_late_has_a_status() -> None:
    """The time limit is that of the connection."""

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise TimeoutError

    with pytest.raises(RequestError, match="the body did not arrive in time") as raised:
        read(Slow(), Content_Length="5")
    assert raised.value.status == 408


def test_memory_is_reserved_before_the_body_is_read() -> None:
    """A body without room is not read at all."""
    memory, stream = Memory(max_bytes=5), io.BytesIO(b"12345")
    with memory.request() as other:
        other.reserve_bytes(1)
        with pytest.raises(NotKept):
            read(stream, memory, Content_Length="5")

    assert stream.tell() == 0
