"""Resources, scopes and requests."""

from __future__ import annotations

from opentelemetry._logs import LogRecord
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as Message
from opentelemetry.proto.logs.v1.logs_pb2 import ScopeLogs
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

from heliograph.delivery.encoding.log_records import encode_log_record
from heliograph.delivery.encoding.requests import encode_resource, encode_scope, entry_field, join_request


def test_request_has_each_scope_once() -> None:
    """Each scope has its records, in order."""
    framed = [entry_field(encode_log_record(LogRecord(body=f"r{number}"))) for number in range(3)]

    found = ExportLogsServiceRequest()
    found.ParseFromString(
        join_request(
            encode_resource({"service.name": "x"}),
            "",
            [(encode_scope("a"), "", framed[:2]), (encode_scope("b", "1", {"k": 1}), "https://s", framed[2:])],
        )
    )

    (resource,) = found.resource_logs
    assert [scope.scope.name for scope in resource.scope_logs] == ["a", "b"]
    assert [[each.body.string_value for each in scope.log_records] for scope in resource.scope_logs] == [
        ["r0", "r1"],
        ["r2"],
    ]
    assert resource.scope_logs[1].schema_url == "https://s"


def test_entry_is_a_field_of_scope_logs_and_of_scope_spans() -> None:
    """The journal stores records in this form."""
    message = encode_log_record(LogRecord(body="body"))

    found = ScopeLogs.FromString(entry_field(message))

    assert found == ScopeLogs(log_records=[Message.FromString(message)])
    assert ScopeLogs.FromString(entry_field(b"")) == ScopeLogs(log_records=[Message()])
    assert ScopeSpans.FromString(entry_field(Span(name="x").SerializeToString())) == ScopeSpans(spans=[Span(name="x")])


def test_scope_and_resource_may_be_empty() -> None:
    assert encode_resource(None) == encode_resource({}) == b""
    assert encode_scope("") == encode_scope("", None, None) == b""
