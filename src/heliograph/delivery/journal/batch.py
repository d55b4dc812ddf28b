"""Records as they are read from a journal, and the request that a batch of them becomes."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ScopeLogs

from heliograph.delivery.encoding.log_records import encode_scope, join_request
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.semconv import LOST_SCOPE_NAME

LOST_SCOPE: Final = Scope(scope=encode_scope(LOST_SCOPE_NAME))
"""The scope of records whose own scope is damaged, with all its copies."""


class Entry(NamedTuple):
    """One record of a journal.

    Attributes:
        sequence: The record's sequence.
        scope: The scope that the record belongs to.
        encoded: The encoded record, as the field of `ScopeLogs` that `join_request` needs.
    """

    sequence: int
    scope: Scope
    encoded: bytes

    @property
    def age_seconds(self) -> float:
        """The time since the record was made, by this machine's clock; 0 if the record has no time."""
        record = decode_record(self.encoded)
        made_at = 0 if record is None else record.observed_time_unix_nano or record.time_unix_nano
        return max(0.0, time.time() - made_at / 1e9) if made_at else 0.0


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Records of one segment, in the order of their sequences.

    Attributes:
        header: The resource that all of them belong to.
        entries: The records, at least one.
    """

    header: Header
    entries: tuple[Entry, ...]


def to_request(header: Header, entries: Iterable[Entry]) -> bytes:
    """Return the request that sends these records, which all belong to one resource. It is joined from stored bytes."""
    groups = [
        (scope.scope, scope.schema_url, [entry.encoded for entry in group])
        for scope, group in groupby(entries, key=lambda entry: entry.scope)
    ]
    return join_request(header.resource, header.schema_url, groups)


def decode_record(encoded: bytes) -> LogRecord | None:
    """Return the record as a protobuf message; `None` if the bytes are not one."""
    scope_logs = ScopeLogs()
    try:
        scope_logs.ParseFromString(encoded)
    except Exception:  # protobuf's errors have no common base in all versions
        return None
    return scope_logs.log_records[0] if scope_logs.log_records else None
