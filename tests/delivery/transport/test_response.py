"""The messages in a server's response."""

from __future__ import annotations

import contextlib

import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)

from heliograph.delivery.transport.response import (
    MAX_RESPONSE_BYTES,
    Response,
    read_response,
    read_retry_delay,
    read_retry_info,
    read_status_message,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
INT64 = st.integers(-(2**63), 2**63 - 1)
PROTOBUF = "application/x-protobuf"


@given(INT64, TEXT)
def test_partial_success(rejected: int, message: str) -> None:
    """The number of rejected records, which is never negative, and the message."""
    partial = ExportLogsPartialSuccess(rejected_log_records=rejected, error_message=message)
    body = ExportLogsServiceResponse(partial_success=partial).SerializeToString()

    assert read_response(body, PROTOBUF) == Response(rejected=max(0, rejected), message=message)


DEEP_JSON = b'{"a":' * 100_000
"""JSON that is nested more deeply than a parser can read it."""


def test_empty_body_is_a_response() -> None:
    """A message without fields has no bytes. The media type does not matter then."""
    assert read_response(b"", "") == read_response(b"", "text/html") == Response()
    assert read_response(ExportLogsServiceResponse(partial_success={}).SerializeToString(), PROTOBUF) == Response()


def test_unknown_fields_are_ignored() -> None:
    """A later version of OTLP may add fields of every wire type."""
    body = b"\x10\x05" + b"\x19" + b"x" * 8 + b"\x25" + b"x" * 4 + b"\x2a\x01x"

    assert read_response(body + b"\x0a\x02\x08\x03", PROTOBUF) == Response(rejected=3)


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "text/html"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", PROTOBUF),
        (b"\n<html></html>", ""),
        (b"ok", "text/plain"),
        (b"OK\n", ""),
        (b"success", ""),
        (b'{"status": "ok"}', "application/json"),
        (b'{"partial_success": {"rejected_spans": 2}}', "application/json"),
        (b"[]", "application/json"),
        (b'{"partialSuccess": {}', "application/json"),
        pytest.param(b'{"partialSuccess": ' + DEEP_JSON, "application/json", id="too deep"),
        pytest.param(b'{"partialSuccess": {}, "other": ' + DEEP_JSON, "application/json", id="too deep beside it"),
        (b'{"partialSuccess": {}}', PROTOBUF),
        (b"\xff\xfe", "application/json"),
        (b"\x1f\x8b\x08\x00", PROTOBUF),
        (b"\x0a\x05\x08", PROTOBUF),
        (b"\x08" + b"\xff" * 11, PROTOBUF),
        (b"\x00\x01", PROTOBUF),
        (b"\x0a", PROTOBUF),
        (b"\x12" + b"\xff\xff\x03" + b"x" * MAX_RESPONSE_BYTES, PROTOBUF),
    ],
)
def test_body_that_is_not_a_response_is_rejected(body: bytes, media_type: str) -> None:
    """A page, a word, other JSON, or something that is compressed, cut off or too long."""
    with pytest.raises(ValueError):
        read_response(body, media_type)


@pytest.mark.parametrize(
    ("body", "response"),
    [
        (b"{}", Response()),
        (b'{"partialSuccess": null}', Response()),
        (b'{"partialSuccess": {"rejectedLogRecords": "3", "errorMessage": "no"}}', Response(rejected=3, message="no")),
        (b'{"partialSuccess": {"rejectedLogRecords": 3}}', Response(rejected=3)),
        (b'{"partialSuccess": {"rejectedSpans": "2", "errorMessage": "no"}}', Response(rejected=2, message="no")),
        (b'{"partialSuccess": {"rejectedSpans": 2, "new": [1]}, "new": {"more": 1}}', Response(rejected=2)),
        (b'{"partialSuccess": {"new": 1}}', Response()),
        (b'{"partialSuccess": {"rejectedSpans": null, "errorMessage": null}}', Response()),
        (b'{"partialSuccess": {"rejectedSpans": "some", "errorMessage": ["no"]}}', Response()),
        (b'{"partialSuccess": {"rejectedSpans": {}, "rejectedLogRecords": 1}}', Response(rejected=1)),
        (b'{"partialSuccess": {"rejectedSpans": 1, "errorMessage": "\xff"}}', Response(rejected=1, message="\ufffd")),
        (b"\xef\xbb\xbf{}", Response()),
    ],
)
def test_response_in_json(body: bytes, response: Response) -> None:
    """Some backends respond in JSON whatever the request was. Integers of 64 bits are texts in it, or numbers.

    Fields of a later version are ignored, and so are values of a wrong type: what was accepted must not be sent again.
    """
    assert read_response(body, "application/json") == response


def test_message_of_an_error() -> None:
    """An error over HTTP is a `google.rpc.Status`, or the JSON of one. Any other body is its own message."""
    status = Status(code=3, message="no such tenant").SerializeToString()

    assert read_status_message(status, PROTOBUF) == "no such tenant"
    assert read_status_message(Status(code=3).SerializeToString(), PROTOBUF) == ""
    assert read_status_message(b'{"code": 3, "message": "no such tenant"}', "application/json") == "no such tenant"
    assert read_status_message(b'{"error": "quota"}', "application/json") == '{"error": "quota"}'
    assert read_status_message(b"not JSON", "application/json") == "not JSON"
    assert read_status_message(DEEP_JSON, "application/json") == DEEP_JSON.decode()
    assert read_status_message(b"Bad Gateway", "text/plain") == "Bad Gateway"
    assert read_status_message(b"<html>\xff", "") == "<html>\ufffd"


@given(st.integers(0, 10**6), st.integers(0, 10**9 - 1))
def test_retry_delay(seconds: int, nanos: int) -> None:
    """The delay is read from the details of a status, and from a message of its own."""
    info = RetryInfo(retry_delay=Duration(seconds=seconds, nanos=nanos))
    packed, other = Any(), Any()
    packed.Pack(info)
    other.Pack(BadRequest())
    status = Status(code=8, details=[other, packed]).SerializeToString()

    assert read_retry_delay(status) == read_retry_info(info.SerializeToString()) == seconds + nanos / 10**9


def test_status_without_a_retry_delay() -> None:
    """Without a `RetryInfo` there is none. A `RetryInfo` without a delay means that a retry may come at once."""
    packed = Any()
    packed.Pack(RetryInfo())

    assert read_retry_delay(Status(code=8, details=[packed]).SerializeToString()) == 0
    assert read_retry_delay(Status(code=8).SerializeToString()) is None
    assert read_retry_delay(b"\xff") is None
    assert read_retry_info(b"\xff") is None
    assert read_retry_info(RetryInfo(retry_delay=Duration(seconds=-5)).SerializeToString()) == 0


@given(st.binary(max_size=200), st.sampled_from(["", PROTOBUF, "application/json", "text/html"]))
def test_any_bytes_can_come_from_a_server(body: bytes, media_type: str) -> None:
    """Any body is a response or a `ValueError`, and the message of an error is a text."""
    assert isinstance(read_status_message(body, media_type), str)
    assert read_retry_delay(body) is None or read_retry_delay(body) >= 0
    with contextlib.suppress(ValueError):
        assert read_response(body, media_type).rejected >= 0


def test_response_of_the_largest_size_is_read() -> None:
    """A message that is not UTF-8 is read, too, which protobuf's library would reject. One byte more than 4 MiB is an error."""
    padding = MAX_RESPONSE_BYTES - 10 - 3
    size = bytes([padding & 0x7F | 0x80, padding >> 7 & 0x7F | 0x80, padding >> 14 & 0x7F | 0x80, padding >> 21])
    body = b"\x0a\x06\x08\x02\x12\x02\xffx" + b"\x12" + size + b"x" * padding

    assert len(body) == MAX_RESPONSE_BYTES
    assert read_response(body, PROTOBUF) == Response(rejected=2, message="\ufffdx")
    with pytest.raises(ValueError, match="longer than 4 MiB"):
        read_response(body + b"\x10\x00", PROTOBUF)


def test_fields_of_another_type_are_ignored() -> None:
    """Field 1 as an integer, and a message that is an integer."""
    assert read_response(b"\x08\x05", PROTOBUF) == Response()
    assert read_response(b"\x0a\x04\x08\x02\x10\x05", PROTOBUF) == Response(rejected=2)
    assert read_status_message(b"\x10\x05", PROTOBUF) == ""
    assert read_retry_delay(b"\x18\x05") is None


def test_last_value_of_a_field_counts() -> None:
    """Protobuf allows messages to be joined by joining their bytes."""
    body = b"\x0a\x02\x08\x02" + b"\x0a\x02\x08\x03" + b"\x0a\x03\x12\x01x"

    assert read_response(body, PROTOBUF) == Response(rejected=3, message="x")
    assert read_status_message(b"\x12\x01a\x12\x01b", PROTOBUF) == "b"


def test_negative_number_in_json_is_none() -> None:
    assert read_response(b'{"partialSuccess": {"rejectedLogRecords": -3}}', "application/json") == Response()


def test_text_is_never_a_response() -> None:
    """The bytes of a text may be an OTLP message by chance."""
    with pytest.raises(ValueError, match="text/plain, not an OTLP message"):
        read_response(b"\x0a\x02\x08\x03", "text/plain")
