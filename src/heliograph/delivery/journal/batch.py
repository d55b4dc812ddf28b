"""Records as they are read from a journal: in order, in batches."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ScopeLogs

from heliograph.delivery.encoding.log_records import join_request
from heliograph.delivery.journal.frames import Header, Scope


class Entry(NamedTuple):
    """One record of a journal.

    Attributes:
        sequence: Its sequence.
        scope: The scope that it was made under.
        encoded: The record, as the field of a request that it will be.
    """

    sequence: int
    scope: Scope
    encoded: bytes

    @property
    def age_seconds(self) -> float:
        """How long ago it was made, by the clock of this machine; 0 if it does not say."""
        record = decode_record(self.encoded)
        made = 0 if record is None else record.observed_time_unix_nano or record.time_unix_nano
        return max(0.0, time.time() - made / 1e9) if made else 0.0


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Records of one segment, in order.

    Attributes:
        header: What they were made under.
        entries: The records, at least one.
    """

    header: Header
    entries: tuple[Entry, ...]


def to_request(header: Header, entries: Iterable[Entry]) -> bytes:
    """The request that records of one header are sent by, joined from what is stored."""
    groups = [
        (scope.scope, scope.schema_url, [entry.encoded for entry in group])
        for scope, group in groupby(entries, key=lambda entry: entry.scope)
    ]
    return join_request(header.resource, header.schema_url, groups)


def decode_record(encoded: bytes) -> LogRecord | None:
    """The record, if it can be read at all."""
    scope_logs = ScopeLogs()
    try:
        scope_logs.ParseFromString(encoded)
    except Exception:  # protobuf's errors have no common base in all versions
        return None
    return scope_logs.log_records[0] if scope_logs.log_records else None
