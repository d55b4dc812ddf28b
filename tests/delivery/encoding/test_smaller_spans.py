"""Spans that are too large for a server give up events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

from heliograph.delivery.encoding.requests import entry_field
from heliograph.delivery.encoding.smaller_spans import shrink_span


def span(*sizes: int, dropped: int = 0) -> Span:
    """Return a span with events of these sizes, named by their position."""
    found = Span(name="x", trace_id=b"t" * 16, span_id=b"s" * 8, flags=0x101, dropped_events_count=dropped)
    found.links.add(span_id=b"l" * 8)
    for at, size in enumerate(sizes):
        found.events.add(name=str(at), time_unix_nano=at + 1).attributes.add(key="k").value.string_value = "v" * size
    return found


def shrunk(message: Span, max_bytes: int) -> tuple[Span, int]:
    result = shrink_span(entry_field(message.SerializeToString()), max_bytes)
    assert result is not None
    entry, given_up = result
    assert len(entry) <= max_bytes
    [found] = ScopeSpans.FromString(entry).spans
    return found, given_up


def test_largest_events_are_given_up_and_counted() -> None:
    """As many as possible are kept, and everything else stays."""
    whole = span(10, 5000, 20, 3000, 30, dropped=2)

    found, given_up = shrunk(whole, 500)

    assert given_up == 2
    assert [event.name for event in found.events] == ["0", "2", "4"]
    assert found.dropped_events_count == 4
    del whole.events[3], whole.events[1]
    whole.dropped_events_count = 4
    assert found == whole


def test_fields_are_in_the_order_of_their_numbers() -> None:
    found = shrink_span(entry_field(span(10, 5000).SerializeToString()), 500)

    expected = span(10)
    expected.dropped_events_count = 1
    assert found == (entry_field(expected.SerializeToString()), 1)


def test_span_that_fits_stays_as_it_is() -> None:
    entry = entry_field(span(10, 20, dropped=1).SerializeToString())

    assert shrink_span(entry, len(entry)) == (entry, 0)


def test_span_without_events_that_is_too_large_cannot_be_shrunk() -> None:
    whole = span(10, 20)
    whole.attributes.add(key="large").value.string_value = "x" * 5000

    assert shrink_span(entry_field(whole.SerializeToString()), 4000) is None


@pytest.mark.parametrize(
    "entry", [b"", b"\xff", b"\x12\x05ab", entry_field(b"\xff\xff"), 2 * entry_field(b"\x2a\x01x")]
)
def test_other_bytes_are_not_a_span(entry: bytes) -> None:
    assert shrink_span(entry, 1) is None


@given(
    sizes=st.lists(st.integers(0, 300), max_size=140),
    dropped=st.sampled_from([0, 1, 120, 127, 128, 2**32 - 1]),
    max_bytes=st.integers(60, 20_000),
)
def test_result_fits_and_no_event_is_given_up_without_need(sizes: list[int], dropped: int, max_bytes: int) -> None:
    whole = span(*sizes, dropped=dropped)
    entry = entry_field(whole.SerializeToString())

    result = shrink_span(entry, max_bytes)

    if result is None:
        assert len(entry_field(span(dropped=dropped).SerializeToString())) + 6 > max_bytes
        return
    smaller, given_up = result
    [found] = ScopeSpans.FromString(smaller).spans
    assert len(smaller) <= max_bytes
    assert len(found.events) + given_up == len(sizes)
    assert found.dropped_events_count == min(dropped + given_up, 2**32 - 1)
    if given_up:
        lost = {str(at) for at in range(len(sizes))} - {event.name for event in found.events}
        smallest = min(event.ByteSize() for event in whole.events if event.name in lost)
        assert len(smaller) + smallest + 10 > max_bytes
