"""Batches of records, and the requests that they become."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from heliograph.delivery.encoding.log_records import encode_log_record
from heliograph.delivery.encoding.requests import encode_resource, encode_scope, entry_field
from heliograph.delivery.journal.batch import Entries, Entry, decode_record, to_request
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.signals import LOGS

SCOPES = [
    Scope(scope=encode_scope(name), schema_url=url) for name, url in (("a", ""), ("b", "https://b"), ("a", "https://a"))
]


def entry(sequence: int, scope: Scope, **fields: int) -> Entry:
    record = LogRecord(body=f"r{sequence}", **fields)
    return Entry(sequence, scope, entry_field(encode_log_record(record)))


@given(st.lists(st.sampled_from(SCOPES), min_size=1, max_size=12))
def test_request_has_all_records_in_order_under_their_scopes(scopes: list[Scope]) -> None:
    """Records of one scope that follow each other share one group; the order is never changed for larger groups."""
    header = Header(resource=encode_resource({"service.name": "shop"}), schema_url="https://resource")
    entries = [entry(number, scope) for number, scope in enumerate(scopes)]

    request = ExportLogsServiceRequest.FromString(to_request(header, entries))

    [resource_logs] = request.resource_logs
    assert resource_logs.resource.attributes[0].value.string_value == "shop"
    assert resource_logs.schema_url == "https://resource"
    found = [
        (scope_logs.scope.SerializeToString(), scope_logs.schema_url, record.body.string_value)
        for scope_logs in resource_logs.scope_logs
        for record in scope_logs.log_records
    ]
    assert found == [(scope.scope, scope.schema_url, f"r{number}") for number, scope in enumerate(scopes)]
    assert len(resource_logs.scope_logs) == 1 + sum(one != other for one, other in itertools.pairwise(scopes))


@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(SCOPES), st.integers(0, 3)), max_size=6),
    st.slices(12),
)
def test_entries_are_a_sequence_of_records(runs: list[tuple[int, Scope, int]], part: slice) -> None:
    """Runs of records, whose sequences may have gaps, can be counted, indexed, sliced and compared like a list."""
    entries, expected, sequence = Entries(), [], 1
    for gap, scope, count in runs:
        sequence += gap
        encoded = [b"%d" % number for number in range(sequence, sequence + count)]
        entries.extend(sequence, scope, encoded)
        expected += [Entry(sequence + number, scope, each) for number, each in enumerate(encoded)]
        sequence += count

    assert list(entries) == expected
    assert len(entries) == len(expected)
    assert [entries[-number] for number in range(1, len(expected) + 1)] == expected[::-1]
    assert list(entries[part]) == expected[part]
    assert Entries.of(expected) == entries
    assert Entries.of(entries) is entries
    assert entries != expected
    assert [(scope, each) for scope, group in entries.by_scope() for each in group] == [
        (entry.scope, entry.encoded) for entry in expected
    ]


def test_record_that_is_not_there_is_no_record() -> None:
    with pytest.raises(IndexError):
        Entries()[0]


def test_age_is_the_time_since_the_record_was_observed() -> None:
    """Without an observed time, it is the time since the record happened."""
    hour_ago, minute_ago = time.time_ns() - 3600 * 10**9, time.time_ns() - 60 * 10**9

    assert entry(1, SCOPES[0], timestamp=hour_ago, observed_timestamp=minute_ago).age_seconds(LOGS) == pytest.approx(
        60, abs=30
    )
    [scope] = SCOPES[:1]
    without = LogRecord(body="x", timestamp=hour_ago)
    without.observed_timestamp = 0
    assert Entry(1, scope, entry_field(encode_log_record(without))).age_seconds(LOGS) == pytest.approx(3600, abs=30)


def test_age_is_never_negative_and_0_if_it_is_not_known() -> None:
    tomorrow = time.time_ns() + 86_400 * 10**9

    assert entry(1, SCOPES[0], observed_timestamp=tomorrow).age_seconds(LOGS) == 0
    assert Entry(1, SCOPES[0], entry_field(b"")).age_seconds(LOGS) == 0
    assert Entry(1, SCOPES[0], b"not a record").age_seconds(LOGS) == 0


@given(st.binary(max_size=50))
def test_any_bytes_are_a_record_or_none(encoded: bytes) -> None:
    assert decode_record(encoded, LOGS) is None or decode_record(encoded, LOGS).ByteSize() >= 0  # type: ignore[union-attr]


def test_bytes_without_a_record_are_none() -> None:
    assert decode_record(b"", LOGS) is None
    assert decode_record(b"\xff", LOGS) is None
