"""Queries for Loki: attributes have underscores in place of dots, and conditions are filters of labels.

`test_grammars` parses the queries of all dashboards by the grammar of LogQL.
"""

from __future__ import annotations

import pytest
from grafana_foundation_sdk.models.loki import Dataquery

from heliograph.dashboards.event_store import Chosen, Condition, Contains, Is, IsAtLeast, IsNoneOf, IsOneOf
from heliograph.dashboards.logql import Loki, label

EVENTS = '{service_name=~"$service"} | event_name!=""'


def latest(*where: Condition) -> str:
    """Return the query for the latest events."""
    query = Loki().latest(where)
    assert isinstance(query, Dataquery)
    return str(query.expr)


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (Is(field="event_name", value='a "b"'), 'event_name="a \\"b\\""'),
        (IsOneOf(field="event_name", values=("a.b", "c")), 'event_name=~"a\\\\.b|c"'),
        (IsNoneOf(field="event_name", values=("a.b", "c")), 'event_name!~"a\\\\.b|c"'),
        (Chosen(field="event_name", variable="event"), 'event_name=~"$event"'),
        (Contains(field="user.id", variable="actor"), "user_id=~`.*${actor:regex}.*`"),
        (IsAtLeast(field="severity_number", number=13), "severity_number>=13"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_conditions(condition: Condition, text: str) -> None:
    """A value is a literal, a part of a text is a regular expression whose special characters Grafana escapes."""
    assert latest(condition) == f"{EVENTS} | {text}"


def test_attributes_are_labels() -> None:
    """A label has letters of ASCII, digits, underscores and colons, and does not begin with a digit."""
    assert [label(name) for name in ("user.id", "app.a-b", "2fa.method", "größe")] == [
        "user_id",
        "app_a_b",
        "key_2fa_method",
        "gr__e",
    ]


def test_numbers_are_unwrapped() -> None:
    """A value that is no number is left out, and so is an event without the attribute."""
    query = Loki().total((Is(field="event_name", value="shop.order"),), "shop.order.total")
    assert isinstance(query, Dataquery)

    assert query.expr == (
        f'sum(sum_over_time({EVENTS} | event_name="shop.order" | shop_order_total!="" | unwrap shop_order_total '
        '| __error__="" [$__range]))'
    )


def test_distribution_has_three_lines() -> None:
    """The lines have the names that a person reads."""
    queries = Loki().distribution((), "shop.order.total")

    assert [getattr(query, "legend_format", None) for query in queries] == ["median", "95 %", "maximum"]


def test_arrays_are_counted_as_a_whole() -> None:
    """Loki cannot unroll arrays, so the query is the same as for a scalar."""
    assert not Loki.can_unroll
    items, whole = (Loki().most_frequent((), "tags", is_array=is_array) for is_array in (True, False))
    assert isinstance(items, Dataquery)
    assert isinstance(whole, Dataquery)
    assert items.expr == whole.expr
