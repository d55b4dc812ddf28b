"""The actions of a host are those of Datasette's core."""

from __future__ import annotations

import asyncio

import pytest
from datasette.app import Datasette

from heliograph import Host, Settings
from heliograph.tokens.actions import CORE_ACTIONS, Action


def test_actions_and_abbreviations_are_those_of_datasettes_core() -> None:
    """A restriction `_r` means the same in both hosts."""
    datasette = Datasette(memory=True)
    asyncio.run(datasette.invoke_startup())

    assert {name: action.abbr for name, action in CORE_ACTIONS.items()} == {
        name: action.abbr for name, action in datasette.actions.items()
    }
    assert all(action.name == name for name, action in CORE_ACTIONS.items())
    datasette.close()


def test_no_two_actions_have_one_abbreviation() -> None:
    """A token with an abbreviation allows one action."""
    abbreviations = [action.abbr for action in CORE_ACTIONS.values()]

    assert len(set(abbreviations)) == len(abbreviations)


def test_plugin_cannot_change_the_actions_of_a_host() -> None:
    """All hosts of a process share the table of actions."""
    host = Host(Settings())

    assert host.actions is CORE_ACTIONS
    with pytest.raises(TypeError):
        host.actions["mine"] = Action(name="mine", abbr="m")  # type: ignore[index]
