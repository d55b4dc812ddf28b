"""Charts of counts per minute: bars that add up, bounded in number."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from heliograph.integrations.datasette.page.chart import HEIGHT, MAX_NAMES, OTHERS, chart

TIMES = ["2026-01-02T03:04:00+00:00", "2026-01-02T03:05:00+00:00", "2026-01-02T03:06:00+00:00"]


def test_names_are_stacked_in_the_order_of_their_totals() -> None:
    found = chart(TIMES, [{"a": 1, "b": 3}, {}, {"b": 2}])

    assert [(each.name, each.colour, each.total) for each in found.series] == [("b", 0, 5), ("a", 1, 1)]
    assert (found.highest, found.total, found.times) == (4, 6, ("03:04", "03:05", "03:06"))
    first, last = found.columns
    assert (first.x, first.time, first.counts, first.text) == (0, "03:04", (3, 1), "03:04: b 3, a 1")
    assert [(bar.colour, bar.y, bar.height) for bar in first.bars] == [(0, 25.0, 75.0), (1, 0.0, 25.0)]
    assert (last.x, last.counts, [bar.height for bar in last.bars]) == (2, (2, 0), [50.0])


def test_names_that_come_first_keep_their_colours() -> None:
    found = chart(TIMES, [{"x": 9, "invalid": 1}, {}, {}], first=["valid", "invalid"])

    assert [(each.name, each.colour) for each in found.series] == [("invalid", 1), ("x", 2)]


def test_names_beyond_a_number_are_one() -> None:
    found = chart(TIMES, [{f"n{number}": 100 - number for number in range(MAX_NAMES + 3)}, {}, {}])

    assert found.series[-1].name == OTHERS
    assert [each.total for each in found.series] == [100, 99, 98, 97, 96, 95, 94 + 93 + 92]
    assert found.columns[0].counts == (100, 99, 98, 97, 96, 95, 94 + 93 + 92)


def test_nothing_has_no_bars() -> None:
    found = chart(TIMES, [{}, {}, {}])

    assert (found.series, found.columns, found.highest, found.total) == ((), (), 0, 0)


counts = st.dictionaries(st.sampled_from("abcdefghij"), st.integers(min_value=1, max_value=10**9))


@given(st.lists(counts, min_size=1, max_size=60))
def test_no_count_is_lost_and_every_bar_can_be_seen(minutes: list[dict[str, int]]) -> None:
    found = chart([TIMES[0]] * len(minutes), minutes, first="jx")

    assert found.total == sum(sum(each.values()) for each in minutes)
    assert [sum(column.counts) for column in found.columns] == [sum(each.values()) for each in minutes if each]
    assert len(found.series) <= MAX_NAMES + 1
    for column in found.columns:
        assert all(bar.height >= 1 and 0 <= bar.y <= HEIGHT for bar in column.bars)
