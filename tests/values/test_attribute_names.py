"""The names of attributes that come from keys are remembered, in a bounded number."""

from __future__ import annotations

import pytest

from heliograph.values.attribute_names import MAX_REMEMBERED, AttributeNames
from heliograph.values.plain import NotPlain


def test_name_is_below_the_prefix() -> None:
    """A key is appended to the prefix, at every depth, and the same text is returned each time."""
    names = AttributeNames("e.p")

    assert names["a"] == "e.p.a"
    assert names["a"] is names["a"]
    inner = names.below("a")
    assert inner["ž b"] == "e.p.a.ž b"
    assert names.below("a") is inner


@pytest.mark.parametrize("key", ["", "a.b", "\n", "\udc80", "x" * 129, "taken"])
def test_key_that_cannot_have_a_name(key: str) -> None:
    """Such a key, of whatever length, is not remembered, nor is anything below it."""
    names = AttributeNames("e.p", frozenset({"e.p.taken"}))

    assert names[key] is None
    with pytest.raises(NotPlain):
        names.below(key)
    assert not names


def test_number_of_names_is_bounded_at_all_depths() -> None:
    """Keys from outside cannot make the cache grow: all names are forgotten when there are too many, and made again."""
    names = AttributeNames("e.p")
    for number in range(5 * MAX_REMEMBERED):
        names[f"key-{number}"]
        inner = names.below(f"outer-{number % 7}")
        inner[f"key-{number}"]
        kept = len(names) + sum(len(below) for below in names.inner.values())
        assert kept <= MAX_REMEMBERED

    assert names["key-0"] == "e.p.key-0"
