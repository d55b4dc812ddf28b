"""The options of `heliograph tail` choose the events and operations that it shows."""

from __future__ import annotations

from typing import Any

import pytest

from heliograph.cli.tail_filter import ArrivalFilter
from heliograph.receiver.arrivals import Arrival

ARRIVAL = Arrival(
    name="forum.ban_user",
    is_event=True,
    time_unix_nano=0,
    body="",
    trace_id="0af7651916cd43dd",
    identity="",
    service="",
    attributes={"user.id": "ada"},
)


@pytest.mark.parametrize(
    ("options", "is_permitted"),
    [
        ({}, True),
        ({"names": ("forum.*",)}, True),
        ({"names": ("forum.ban_use?",)}, True),
        ({"names": ("FORUM.*",)}, False),
        ({"names": ("shop.*", "forum.*")}, True),
        ({"names": ("forum",)}, False),
        ({"actors": ("bob", "ada")}, True),
        ({"actors": ("ad",)}, False),
        ({"traces": ("0af7",)}, True),
        ({"traces": ("f765",)}, False),
        ({"names": ("forum.*",), "actors": ("bob",)}, False),
    ],
    ids=str,
)
def test_every_option_has_to_fit(options: dict[str, Any], is_permitted: bool) -> None:
    """If an option has several values, one of them has to fit."""
    assert ArrivalFilter(**options).permits(ARRIVAL) is is_permitted


def test_names_are_counted_without_their_events() -> None:
    """A request that is too large to be printed in time is not decoded."""
    assert ArrivalFilter(names=("forum.*",)).permitted(["forum.a", "shop.b", "forum.a"]) == 2
