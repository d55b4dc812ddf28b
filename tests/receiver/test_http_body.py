"""Bodies of OTLP over HTTP are decoded, or refused with the right status."""

from __future__ import annotations

import gzip
import json
import zlib
from http import HTTPStatus

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from heliograph.otlp import to_json_document
from heliograph.receiver import object_count
from heliograph.receiver.budget import Budget
from heliograph.receiver.contract import NotKept
from heliograph.receiver.http_body import JSON, PROTOBUF, RequestError, decode_request, decompress
from heliograph.receiver.memory import Memory, RequestMemory
from heliograph.receiver.signals import MAX_REQUEST_BYTES, SIGNALS
from receiver.requests import TRACE, log_request

LOGS = SIGNALS[0]
REQUEST = log_request("app.a", trace=TRACE, user__id="ada")
BODY = REQUEST.SerializeToString()


def decode(body: bytes, content_type: str = PROTOBUF, encoding: str = "") -> object:
    """Decode a request of log records."""
    with Memory().request() as memory:
        return decode_request(LOGS, body, content_type=content_type, content_encoding=encoding, memory=memory)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (BODY, ""),
        (BODY, "identity"),
        (gzip.compress(BODY), "gzip"),
        (gzip.compress(BODY[:9]) + gzip.compress(BODY[9:]), "GZIP "),
        (zlib.compress(BODY), "deflate"),
    ],
)
def test_protobuf_is_decoded(body: bytes, encoding: str) -> None:
    """Plain, and in the compressions that exporters have."""
    assert decode(body, encoding=encoding) == REQUEST


def test_json_of_otlp_is_decoded() -> None:
    """Ids are hexadecimal, enums are numbers, and unknown keys are ignored."""
    document = to_json_document(REQUEST)
    document["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0] |= {"severityNumber": 9, "later": [1]}

    decoded = decode(json.dumps(document).encode(), JSON)

    with_severity = log_request("app.a", trace=TRACE, user__id="ada")
    with_severity.resource_logs[0].scope_logs[0].log_records[0].severity_number = 9
    assert decoded == with_severity
    assert decode(b"", JSON) == LOGS.request_class()


@pytest.mark.parametrize(
    ("status", "body", "content_type", "encoding"),
    [
        (415, BODY, "text/plain", ""),
        (415, BODY, PROTOBUF, "br"),
        (400, b"\xff", PROTOBUF, ""),
        (400, b"x", PROTOBUF, "gzip"),
        (400, gzip.compress(BODY)[:-6], PROTOBUF, "gzip"),
        (400, gzip.compress(b"") * 101, PROTOBUF, "gzip"),
        (400, b"[" * 100_000, JSON, ""),
        (400, b"null", JSON, ""),
        (400, b"\xff", JSON, ""),
        (400, b"1" * 5000, JSON, ""),
        (400, b'{"resourceLogs": 1}', JSON, ""),
        (400, b'{"resourceLogs": [{"schemaUrl": "\\ud800"}]}', JSON, ""),
        (400, b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"xyz"}]}]}]}', JSON, ""),
        (400, b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":7}]}]}]}', JSON, ""),
    ],
)
def test_other_bodies_are_refused(status: int, body: bytes, content_type: str, encoding: str) -> None:
    """The status tells a wrong type from a wrong content."""
    with pytest.raises(RequestError) as raised:
        decode(body, content_type, encoding)
    assert raised.value.status == status


@pytest.mark.parametrize("members", [[MAX_REQUEST_BYTES + 1], [MAX_REQUEST_BYTES, 1]])
def test_compressed_body_that_is_too_large_is_refused(members: list[int]) -> None:
    """The length of all its members counts."""
    body = b"".join(gzip.compress(bytes(length), 1) for length in members)
    with pytest.raises(RequestError) as raised:
        decode(body, PROTOBUF, "gzip")
    assert raised.value.status == 413


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_memory_is_reserved_for_the_decompressed_body(encoding: str) -> None:
    """Memory is reserved in blocks, because the size is not known before, and a refusal ends the work."""
    compress = gzip.compress if encoding == "gzip" else zlib.compress
    all_bytes = Budget(3_000_000, "no memory")
    memory = RequestMemory(all_bytes, Budget(0, ""))

    assert decompress(compress(bytes(2_500_000)), encoding, memory) == bytes(2_500_000)
    all_bytes.reserve(500_000)
    with pytest.raises(NotKept):
        all_bytes.reserve(1)
    memory.release()
    with pytest.raises(NotKept, match="no memory"):
        decompress(compress(bytes(MAX_REQUEST_BYTES)), encoding, memory)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "resourceLogs",
                        "scopeLogs",
                        "logRecords",
                        "traceId",
                        "body",
                        "attributes",
                        "key",
                        "value",
                        "kvlistValue",
                        "values",
                    ]
                ),
                inner,
            )
        ),
    )
)
def test_any_json_is_decoded_or_refused(document: object) -> None:
    """The only exception is a refusal with status 400."""
    try:
        decode(json.dumps(document).encode(), JSON)
    except RequestError as error:
        assert error.status is HTTPStatus.BAD_REQUEST


@given(st.binary())
def test_any_bytes_are_decoded_or_refused(body: bytes) -> None:
    """No other exception is raised, whatever the type and the encoding."""
    for content_type in (PROTOBUF, JSON):
        for encoding in ("", "gzip"):
            try:
                decode(body, content_type, encoding)
            except RequestError as error:
                assert error.status is HTTPStatus.BAD_REQUEST


def test_json_reader_is_that_of_protobuf() -> None:
    """The class of its errors is the one that is caught."""
    assert issubclass(json_format.ParseError, json_format.Error)


@pytest.mark.parametrize(("limit", "what"), [("MAX_OBJECTS", "objects"), ("MAX_RECORDS", "records")])
def test_too_many_objects_are_refused(limit: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both encodings are limited, whatever the size of the body. The status is that of a body that is too large."""
    monkeypatch.setattr(object_count, limit, 1)
    document = json.dumps(to_json_document(log_request("a", "b"))).encode()
    for body, content_type, named in [
        (log_request("a", "b").SerializeToString(), PROTOBUF, what),
        (document, JSON, "values" if what == "objects" else what),
    ]:
        with pytest.raises(RequestError, match=f"more than 1 {named}; send it as several") as raised:
            decode(body, content_type)
        assert raised.value.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
