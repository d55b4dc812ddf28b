"""Every store of events answers the same questions, each with a query for its own data source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from heliograph.dashboards.backends import EVENT_STORES
from heliograph.dashboards.event_store import (
    Chosen,
    Condition,
    Contains,
    EventStore,
    Is,
    IsAtLeast,
    IsNoneOf,
    IsOneOf,
    quoted,
)
from heliograph.semconv import USER_HASH, USER_ID

every_store = pytest.mark.parametrize("store", [each() for each in EVENT_STORES.values()], ids=list(EVENT_STORES))

CONDITIONS: tuple[Condition, ...] = (
    Is(field="a", value="x"),
    IsOneOf(field="a", values=("x", "y")),
    IsNoneOf(field="a", values=("x", "y")),
    Chosen(field="a", variable="v"),
    Contains(field="a", variable="v"),
    IsAtLeast(field="a", number=13),
)
QUESTIONS: dict[str, Callable[[EventStore, tuple[Condition, ...]], Any]] = {
    "latest": lambda store, where: store.latest(where),
    "count": lambda store, where: store.count(where),
    "count_distinct": lambda store, where: store.count_distinct(where, "b"),
    "over_time": lambda store, where: store.over_time(where, "b"),
    "most_frequent": lambda store, where: store.most_frequent(where, "b"),
    "total": lambda store, where: store.total(where, "b"),
    "distribution": lambda store, where: store.distribution(where, "b")[0],
}


@every_store
@pytest.mark.parametrize("question", QUESTIONS)
def test_query_is_for_the_data_source_of_the_store(store: EventStore, question: str) -> None:
    """A query finds events of the chosen services alone."""
    query = QUESTIONS[question](store, ())

    assert query.datasource.type_val == store.data_source.plugin
    assert "$service" in query.expr
    assert "event_name" in query.expr


@every_store
@pytest.mark.parametrize("question", QUESTIONS)
def test_each_condition_makes_another_query(store: EventStore, question: str) -> None:
    """No condition is ignored, and no two of them mean the same."""
    found = {QUESTIONS[question](store, where).expr for where in [(), *((each,) for each in CONDITIONS)]}

    assert len(found) == 1 + len(CONDITIONS)


@every_store
def test_several_conditions_are_all_met(store: EventStore) -> None:
    """Each condition is in the query, in whatever way it is written."""
    [one, other] = [store.count((each,)).expr for each in (CONDITIONS[0], CONDITIONS[5])]  # type: ignore[union-attr]
    both = store.count((CONDITIONS[0], CONDITIONS[5])).expr  # type: ignore[union-attr]

    assert len(both) > max(len(one), len(other))
    assert "x" in both
    assert "13" in both


@every_store
def test_link_has_the_value_of_the_field(store: EventStore) -> None:
    """Grafana encodes the value for the address of the link."""
    assert store.value_in_link("user.id").endswith(":percentencode}")


@pytest.mark.parametrize("kind", EVENT_STORES.values(), ids=list(EVENT_STORES))
def test_actor_is_identified_as_the_settings_say(kind: type[EventStore]) -> None:
    """The queries use the id of the actor, or its hash."""
    assert (kind().actor, kind(USER_HASH).actor) == (USER_ID, USER_HASH)


def test_text_is_a_literal() -> None:
    """Quotes and backslashes in a text end nothing. Letters stay as they are."""
    assert quoted('a "b" \\ größe') == '"a \\"b\\" \\\\ größe"'
