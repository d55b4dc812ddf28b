"""Read the body of an HTTP/1.1 request from its connection: one with a length, or in chunks. It is bounded in size, and read completely.

Source: RFC 9112, sections 6 and 7.
"""

from __future__ import annotations

import re
from email.message import Message
from http import HTTPStatus
from typing import Final, Protocol

from heliograph.receiver.http_body import RequestError
from heliograph.receiver.memory import RequestMemory
from heliograph.receiver.signals import MAX_REQUEST_BYTES

_DIGITS: Final = re.compile("[0-9]{1,18}")
_HEXADECIMAL_DIGITS: Final = re.compile("[0-9A-Fa-f]{1,16}")
_MAX_CHUNK_LINE_BYTES: Final = 1024
_MAX_TRAILERS: Final = 100


class Stream(Protocol):
    """A connection that is read from."""

    def read(self, size: int, /) -> bytes:
        """Return that many bytes; fewer if the client has sent its last."""

    def readline(self, size: int, /) -> bytes:
        """Return bytes up to the end of a line, and that many at most."""


def read_body(headers: Message, stream: Stream, memory: RequestMemory) -> bytes:
    """Return the body of a request, as it was sent.

    Args:
        headers: The headers of the request.
        stream: The connection, from which the headers were read.
        memory: Reserves the memory for the body.

    Raises:
        NotKept: Other requests use all the memory.
        RequestError: The body is too large, not complete, or late, or its size is not a number.
    """
    try:
        if "Transfer-Encoding" in headers:
            return _read_chunks(headers["Transfer-Encoding"], stream, memory)
        return _read(stream, _content_length(headers), memory)
    except TimeoutError:
        raise RequestError(HTTPStatus.REQUEST_TIMEOUT, "the body did not arrive in time") from None


def _content_length(headers: Message) -> int:
    lengths = {text.strip() for text in headers.get_all("Content-Length", ["0"])}
    text = lengths.pop()
    if lengths or not _DIGITS.fullmatch(text):
        raise RequestError(HTTPStatus.BAD_REQUEST, "the Content-Length is not a number")
    _check_size(int(text))
    return int(text)


def _read_chunks(encoding: str, stream: Stream, memory: RequestMemory) -> bytes:
    if encoding.strip().lower() != "chunked":
        raise RequestError(HTTPStatus.NOT_IMPLEMENTED, "the only Transfer-Encoding is chunked")
    body = bytearray()
    while size := _chunk_size(stream):
        _check_size(len(body) + size)
        body += _read(stream, size, memory)
        if _read_line(stream):
            raise RequestError(HTTPStatus.BAD_REQUEST, "a chunk is longer than its size")
    for _ in range(_MAX_TRAILERS):
        if not _read_line(stream):
            return bytes(body)
    raise RequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "there are too many headers after the body")


def _chunk_size(stream: Stream) -> int:
    size = _read_line(stream).partition(b";")[0].strip().decode("latin-1")
    if not _HEXADECIMAL_DIGITS.fullmatch(size):
        raise RequestError(HTTPStatus.BAD_REQUEST, "the size of a chunk is not a number")
    return int(size, 16)


def _read_line(stream: Stream) -> bytes:
    return stream.readline(_MAX_CHUNK_LINE_BYTES).rstrip(b"\r\n")


def _read(stream: Stream, size: int, memory: RequestMemory) -> bytes:
    memory.reserve_bytes(size)
    content = stream.read(size)
    if len(content) < size:
        raise RequestError(HTTPStatus.BAD_REQUEST, "the body is not complete")
    return content


def _check_size(size: int) -> None:
    if size > MAX_REQUEST_BYTES:
        raise RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {MAX_REQUEST_BYTES} bytes")
