"""Smaller forms of a record that is too large for a server."""

from __future__ import annotations

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from heliograph.delivery.encoding.requests import entry_field
from heliograph.delivery.journal.batch import Entry
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.sending.smaller_records import smaller_records
from heliograph.delivery.signals import LOGS, TRACES

HEADER = Header(resource=b"r" * 100, signal=TRACES)
LIMIT = 12_124
"""10,000 bytes are for the record: there are 100 bytes of a resource, 1,000 of a scope, and 1,024 of room."""


def span(events: int) -> Entry:
    """Return a span with events of 1 kB."""
    message = Span(name="x")
    for _ in range(events):
        message.events.add().attributes.add(key="k").value.string_value = "v" * 1000
    return Entry(1, Scope(scope=b"s" * 1000), entry_field(message.SerializeToString()))


def test_first_form_is_as_large_as_servers_usually_accept() -> None:
    """With each next form, the number of bytes is halved, until there is no event left."""
    forms = list(smaller_records(HEADER, span(100), LIMIT))

    assert [lacking for _, lacking in forms] == [91, 96, 98, 99, 100, 100, 100, 100]
    assert 9000 < len(forms[0][0].encoded) <= 10_000
    assert all(entry.sequence == 1 and entry.scope.scope == b"s" * 1000 for entry, _ in forms)


def test_record_below_the_usual_limit_is_halved_at_once() -> None:
    """A server that refuses a record of usual size accepts less than others."""
    assert [lacking for _, lacking in smaller_records(HEADER, span(8), LIMIT)][:2] == [5, 7]


def test_record_that_consists_of_something_else_has_no_smaller_form() -> None:
    assert not list(smaller_records(HEADER, span(0), LIMIT))
    assert not list(smaller_records(Header(resource=b"", signal=LOGS), span(8), LIMIT))
