"""Restrictions are built, abbreviated and read as Datasette's are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from datasette.app import Datasette
from datasette.tokens import TokenRestrictions as TheirRestrictions
from hypothesis import given
from hypothesis import strategies as st
from recorder import Telemetry

from heliograph import TokenRestrictions
from heliograph.tokens.actions import CORE_ACTIONS

HOST: Any = SimpleNamespace(actions=CORE_ACTIONS)


def test_builder_changes_the_object_and_returns_it() -> None:
    """Datasette's callers drop the result; a copy would hand out unrestricted tokens."""
    restrictions = TokenRestrictions()

    assert restrictions.allow_all("view-instance") is restrictions
    restrictions.allow_database("db", "create-table").allow_database("db", "view-table")
    restrictions.allow_resource("db", "t", "insert-row").allow_resource("db", "u", "x").allow_resource("db", "t", "y")

    assert restrictions == TokenRestrictions(
        all=["view-instance"],
        database={"db": ["create-table", "view-table"]},
        resource={"db": {"t": ["insert-row", "y"], "u": ["x"]}},
    )


def test_two_objects_share_nothing() -> None:
    """An empty one stays empty."""
    TokenRestrictions().allow_all("view-instance")

    assert TokenRestrictions() == TokenRestrictions(all=[], database={}, resource={})


def test_abbreviated_form() -> None:
    """Short names where the host has them, the name itself where it has not."""
    restrictions = TokenRestrictions().allow_all("view-instance").allow_all("fly")
    restrictions.allow_database("db", "create-table").allow_resource("db", "t", "insert-row")

    assert restrictions.abbreviated(HOST) == {"a": ["vi", "fly"], "d": {"db": ["ct"]}, "r": {"db": {"t": ["ir"]}}}


def test_nothing_restricted_is_none() -> None:
    """An empty restriction is none at all, as in Datasette."""
    assert TokenRestrictions().abbreviated(HOST) is None


@pytest.mark.anyio
async def test_abbreviations_are_those_of_datasettes_core(telemetry: Telemetry) -> None:
    """Every action of the core, and no other."""
    datasette = Datasette(memory=True)
    await datasette.invoke_startup()

    assert {name: action.abbr for name, action in telemetry.host().actions.items()} == {
        name: action.abbr for name, action in datasette.actions.items()
    }
    datasette.close()


NAMES = st.text(max_size=5) | st.sampled_from(["view-instance", "insert-row", "db"])
LISTS = st.lists(NAMES, max_size=3)


@given(LISTS, st.dictionaries(NAMES, LISTS, max_size=3), st.dictionaries(NAMES, st.dictionaries(NAMES, LISTS, max_size=2), max_size=3))
def test_abbreviated_form_is_datasettes(all_: list[str], database: dict[str, Any], resource: dict[str, Any]) -> None:
    """Whatever is restricted, both classes say the same of it."""
    ours, theirs = TokenRestrictions(all_, database, resource), TheirRestrictions(all_, database, resource)

    assert ours.abbreviated(HOST) == theirs.abbreviated(HOST)
