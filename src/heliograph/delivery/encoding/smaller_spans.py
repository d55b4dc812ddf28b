"""Make encoded spans that are too large for a server smaller, by removing their largest events.

A gRPC server accepts messages up to a limit, 4 MiB by default. A span that is larger would never arrive; without a few of its events it
does. The number of removed events is added to `dropped_events_count`, so that people who look at the span can see it.
"""

from __future__ import annotations

from typing import Final

from heliograph.delivery.encoding.requests import entry_field
from heliograph.delivery.protobuf import as_bytes, as_int64, count_field, read_fields, split_fields

# Numbers of Span's fields, and one tag
_EVENTS: Final = 11
_DROPPED_EVENTS_COUNT: Final = 12
_DROPPED_EVENTS_TAG: Final = b"\x60"


def shrink_span(entry: bytes, max_bytes: int) -> tuple[bytes, int] | None:
    """Return an encoded span without the largest of its events, and the number of events that were removed.

    Args:
        entry: The span, from `entry_field`.
        max_bytes: The largest size of the result, which is an entry, too.

    Returns:
        The smaller entry and the number of events that it lacks; `None` if the span would be too large without any event, or if the
        bytes are not a span.
    """
    try:
        [(_, value)] = read_fields(entry)
        fields = list(split_fields(as_bytes(value)))
        dropped = sum(
            as_int64(count) for number, count in read_fields(as_bytes(value)) if number == _DROPPED_EVENTS_COUNT
        )
    except ValueError:
        return None
    given_up = _events_to_give_up(fields, len(entry) - max_bytes, dropped)
    if given_up is None:
        return None
    count = (_DROPPED_EVENTS_COUNT, count_field(_DROPPED_EVENTS_TAG, dropped + len(given_up)))
    kept = [each for at, each in enumerate(fields) if at not in given_up and each[0] != _DROPPED_EVENTS_COUNT]
    return entry_field(b"".join(field for _, field in sorted([*kept, count], key=_number))), len(given_up)


def _events_to_give_up(fields: list[tuple[int, bytes]], excess: int, dropped: int) -> set[int] | None:
    """Return the positions of the largest events, which together save `excess` bytes; `None` if all events together do not."""
    events = sorted((len(field), at) for at, (number, field) in enumerate(fields) if number == _EVENTS)
    given_up: set[int] = set()
    while excess + _growth(dropped, len(given_up)) > 0:
        if not events:
            return None
        size, at = events.pop()
        excess -= size
        given_up.add(at)
    return given_up


def _growth(dropped: int, given_up: int) -> int:
    """Return the number of bytes by which the field with the count of dropped events grows."""
    return len(count_field(_DROPPED_EVENTS_TAG, dropped + given_up)) - len(count_field(_DROPPED_EVENTS_TAG, dropped))


def _number(field: tuple[int, bytes]) -> int:
    return field[0]
