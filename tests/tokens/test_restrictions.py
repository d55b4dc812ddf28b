"""Restrictions mean in a host what they mean in Datasette."""

from __future__ import annotations

import asyncio

import datasette.tokens
import hypothesis
import pytest
from datasette.app import Datasette
from hypothesis import strategies as st

from heliograph import Host, Settings, TokenRestrictions
from heliograph.tokens.actions import CORE_ACTIONS, Action


@pytest.fixture(scope="module")
def real():
    """A Datasette with the actions of its core."""
    instance = Datasette(memory=True)
    asyncio.run(instance.invoke_startup())
    yield instance
    instance.close()


actions = st.lists(st.sampled_from([*CORE_ACTIONS, "unknown-action", ""]), max_size=3)
by_name = st.dictionaries(st.text(max_size=4), actions, max_size=2)
parts = st.tuples(actions, by_name, st.dictionaries(st.text(max_size=4), by_name, max_size=2))


def test_the_actions_are_those_of_datasettes_core(real: Datasette) -> None:
    """Names and abbreviations are the same, so `_r` means the same in both."""
    assert {name: action.abbr for name, action in CORE_ACTIONS.items()} == {
        name: action.abbr for name, action in real.actions.items()
    }
    assert all(action.name == name for name, action in CORE_ACTIONS.items())


def test_the_actions_of_a_host_cannot_be_changed_by_a_plugin() -> None:
    """They are shared by all hosts."""
    host = Host(Settings())

    assert host.actions is CORE_ACTIONS
    with pytest.raises(TypeError):
        host.actions["mine"] = Action(name="mine", abbr="m")  # type: ignore[index]


def test_the_builder_changes_the_object_and_gives_it_back() -> None:
    """Both chained calls and calls whose result is dropped work, as they do in Datasette."""
    restrictions = TokenRestrictions()

    assert restrictions.allow_all("view-instance") is restrictions
    assert restrictions.allow_database("one", "create-table") is restrictions
    restrictions.allow_database("one", "create-view")
    restrictions.allow_resource("one", "pages", "insert-row")
    restrictions.allow_resource("one", "users", "delete-row")

    assert restrictions == TokenRestrictions(
        all=["view-instance"],
        database={"one": ["create-table", "create-view"]},
        resource={"one": {"pages": ["insert-row"], "users": ["delete-row"]}},
    )


def test_two_restrictions_share_nothing() -> None:
    """Each starts empty."""
    TokenRestrictions().allow_all("view-instance").allow_database("one", "create-table")

    assert TokenRestrictions() == TokenRestrictions(all=[], database={}, resource={})


def test_no_restriction_has_no_abbreviated_form(real: Datasette) -> None:
    """A token without restrictions carries no `_r`."""
    assert TokenRestrictions().abbreviated(Host(Settings())) is None
    assert TokenRestrictions().abbreviated(real) is None


def test_abbreviations_stand_for_the_actions_that_have_one() -> None:
    """An action that the host does not know, or that has no abbreviation, stands for itself."""

    class Knowing:
        actions = {"long-name": Action(name="long-name", abbr="ln"), "plain": Action(name="plain", abbr=None)}

    restrictions = TokenRestrictions().allow_all("long-name").allow_all("plain").allow_all("unknown")

    assert restrictions.abbreviated(Knowing()) == {"a": ["ln", "plain", "unknown"]}


@hypothesis.given(parts=parts)
def test_the_abbreviated_form_is_datasettes(real: Datasette, parts: tuple) -> None:
    """Ours and theirs, in a host and in Datasette, give one and the same `_r`."""
    ours, theirs = TokenRestrictions(*parts), datasette.tokens.TokenRestrictions(*parts)

    expected = theirs.abbreviated(real)

    assert ours.abbreviated(real) == expected
    assert ours.abbreviated(Host(Settings())) == expected
    assert theirs.abbreviated(Host(Settings())) == expected
