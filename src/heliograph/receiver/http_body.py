"""Decode the body of an OTLP/HTTP request, and encode the body of its response. Pure functions, bounded in size.

Bodies are protobuf or OTLP's JSON, plain or compressed. An invalid or unsupported body raises `RequestError`, with the HTTP status.

Source: OTLP specification 1.7, section OTLP/HTTP: a response has the encoding of its request, and the body of an error is a ``Status``.
"""

from __future__ import annotations

import json
import zlib
from http import HTTPStatus
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from heliograph.otlp import with_base64_ids
from heliograph.receiver.memory import RequestMemory
from heliograph.receiver.object_count import TooManyObjects, check_records, count_values, decode_protobuf
from heliograph.receiver.signals import MAX_REQUEST_BYTES, OtlpRequest, OtlpSignal

PROTOBUF: Final = "application/x-protobuf"
"""The content type of requests and responses in protobuf."""
JSON: Final = "application/json"
"""The content type of requests and responses in JSON."""

_BLOCK_BYTES: Final = 1024 * 1024
"""Memory is reserved for each block of this size of a decompressed body, since the whole size is not known before."""
_MAX_MEMBERS: Final = 100
"""The largest number of members of one gzip body. Each of them has a cost, even if it is empty."""
_ZLIB_OR_GZIP: Final = zlib.MAX_WBITS | 32
"""zlib's flag to recognize both formats by their headers."""


class RequestError(Exception):
    """A request that is not accepted.

    Attributes:
        status: The HTTP status of the response.
    """

    def __init__(self, status: HTTPStatus, message: str) -> None:
        self.status = status
        super().__init__(message)


def decode_request(
    signal: OtlpSignal, body: bytes, *, content_type: str, content_encoding: str, memory: RequestMemory
) -> OtlpRequest:
    """Return the decoded body of a request.

    Args:
        signal: The signal that the path of the request names.
        body: The body, as it was received.
        content_type: The content type, without parameters.
        content_encoding: The content encoding; empty for none.
        memory: Reserves the memory for the decompressed body, and for its objects.

    Raises:
        RequestError: The type or the encoding is not supported, the body is not valid, or it is too large.
        NotKept: Other requests use all the memory.
    """
    if content_type not in {PROTOBUF, JSON}:
        raise RequestError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send the content type {PROTOBUF} or {JSON}")
    plain = decompress(body, content_encoding.strip().lower(), memory)
    try:
        return (decode_json if content_type == JSON else decode_protobuf)(signal, plain, memory)
    except TooManyObjects as error:
        raise RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error)) from error
    # protobuf's JSON parser raises TypeError and AttributeError for some invalid documents.
    except (AttributeError, DecodeError, RecursionError, TypeError, ValueError, json_format.Error) as error:
        raise RequestError(HTTPStatus.BAD_REQUEST, f"the body is not an OTLP request: {error}") from error


def decompress(body: bytes, encoding: str, memory: RequestMemory) -> bytes:
    """Return a decompressed body.

    Args:
        body: The body, as it was received.
        encoding: The content encoding: ``gzip``, ``deflate``, ``identity``, or empty.
        memory: Reserves the memory for the decompressed body.

    Raises:
        RequestError: The encoding is not supported, the data is damaged, or the decompressed body is too large.
        NotKept: Other requests use all the memory.
    """
    if encoding in {"", "identity"}:
        return body
    if encoding not in {"gzip", "deflate"}:
        raise RequestError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the content encoding gzip, deflate or none")
    try:
        return _inflate(body, memory)
    except zlib.error as error:
        raise RequestError(HTTPStatus.BAD_REQUEST, f"the body cannot be decompressed: {error}") from error


def _inflate(body: bytes, memory: RequestMemory) -> bytes:
    """Return a decompressed body. A gzip file may have several members, one after the other."""
    plain = bytearray()
    for _ in range(_MAX_MEMBERS):
        if not body:
            return bytes(plain)
        inflater = zlib.decompressobj(_ZLIB_OR_GZIP)
        _inflate_member(inflater, body, plain, memory)
        body = inflater.unused_data
    raise RequestError(HTTPStatus.BAD_REQUEST, f"the body has more than {_MAX_MEMBERS} compressed members")


def _inflate_member(inflater: Any, body: bytes, plain: bytearray, memory: RequestMemory) -> None:
    while not inflater.eof:
        block = inflater.decompress(body, _BLOCK_BYTES)
        if not block and not inflater.eof:
            raise RequestError(HTTPStatus.BAD_REQUEST, "the compressed body is not complete")
        memory.reserve_bytes(len(block))
        plain += block
        if len(plain) > MAX_REQUEST_BYTES:
            raise RequestError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {MAX_REQUEST_BYTES} bytes, decompressed"
            )
        body = inflater.unconsumed_tail


def decode_json(signal: OtlpSignal, body: bytes, memory: RequestMemory) -> OtlpRequest:
    """Return a request in OTLP's JSON encoding. Unknown keys are ignored, as OTLP asks.

    Raises:
        ValueError: The body is not JSON, or an id is not hexadecimal.
        json_format.Error: The JSON is not such a request.
        TooManyObjects: It has too many values or records.
        NotKept: Other requests use all the memory.
    """
    memory.reserve_objects(count_values(body))
    document = with_base64_ids(json.loads(body or b"{}"))
    request: OtlpRequest = json_format.ParseDict(document, signal.request_class(), ignore_unknown_fields=True)
    check_records(request)
    return request


def encode_response(message: Message, content_type: str) -> bytes:
    """Return a response in the encoding of its request."""
    if content_type == JSON:
        return json_format.MessageToJson(message, indent=None).encode()
    return message.SerializeToString()


def encode_error(message: str, content_type: str) -> bytes:
    """Return the body of an error: an encoded ``Status`` with a message, in the encoding of the request."""
    printable = message.encode(errors="backslashreplace").decode()
    return encode_response(Status(message=printable), content_type)
