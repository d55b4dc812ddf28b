"""Queries for VictoriaLogs: attributes keep their names, which are quoted if they are not plain words.

`test_field_queries` runs the queries of a catalogue in a real VictoriaLogs.
"""

from __future__ import annotations

import pytest

from heliograph.dashboards.data_sources import Query, VictoriaLogsQuery
from heliograph.dashboards.event_store import Chosen, Condition, Contains, Is, IsAtLeast, IsNoneOf, IsOneOf
from heliograph.dashboards.logsql import VictoriaLogs

EVENTS = "service.name:in($service) event_name:*"


def expression(query: Query) -> str:
    assert isinstance(query, VictoriaLogsQuery)
    return query.expr


def latest(*where: Condition) -> str:
    """Return the query for the latest events."""
    return expression(VictoriaLogs().latest(where))


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (Is(field="event_name", value='a "b"'), 'event_name:="a \\"b\\""'),
        (IsOneOf(field="event_name", values=("a.b", "c")), 'event_name:in("a.b", "c")'),
        (IsNoneOf(field="event_name", values=("a.b", "c")), '!event_name:in("a.b", "c")'),
        (Chosen(field="event_name", variable="event"), "event_name:in($event)"),
        (Contains(field="user.id", variable="actor"), "user.id:~`${actor:regex}`"),
        (IsAtLeast(field="severity_number", number=13), "severity_number:>=13"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_conditions(condition: Condition, text: str) -> None:
    """A value is a literal, a part of a text is a regular expression whose special characters Grafana escapes."""
    assert latest(condition) == f"{EVENTS} {text}"


@pytest.mark.parametrize(
    ("field", "name"), [("shop.order.total", "shop.order.total"), ("app.größe", '"app.größe"'), ("a-b", '"a-b"')]
)
def test_names_that_need_quotes(field: str, name: str) -> None:
    """Names with other characters than letters of ASCII, digits, underscores and dots do."""
    assert expression(VictoriaLogs().total((), field)) == f"{EVENTS} | filter {name}:* | stats sum({name}) as total"


def test_items_of_arrays_are_counted() -> None:
    """VictoriaLogs unrolls arrays. Other values are counted as they are."""
    plain = expression(VictoriaLogs().most_frequent((), "tags"))
    unrolled = expression(VictoriaLogs().most_frequent((), "tags", is_array=True))

    assert VictoriaLogs.can_unroll
    assert "unroll" not in plain
    assert unrolled == plain.replace("filter tags:* | ", "filter tags:* | unroll by (tags) | ")


def test_distribution_is_one_query() -> None:
    """The query has three values, which are named like the columns that it returns."""
    [query] = VictoriaLogs().distribution((), "shop.order.total")

    assert expression(query) == (
        f"{EVENTS} shop.order.total:* | stats quantile(0.5, shop.order.total) as median, "
        'quantile(0.95, shop.order.total) as "95 %", max(shop.order.total) as maximum'
    )
