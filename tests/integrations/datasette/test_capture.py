"""`heliograph.testing.capture` sees the events and tokens of a `Datasette`."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from heliograph import Event, Host, Settings
from heliograph.testing import capture, problems_of
from recorder import SECRET, Telemetry
from registrar import Registrar

pytestmark = pytest.mark.anyio


@dataclass
class Viewed(Event, namespace="shop"):
    name = "viewed"
    report: str


async def test_events_and_tokens_of_one_datasette(telemetry: Telemetry, instances) -> None:
    """Events and tokens are captured like those of a host, and are no events of another host."""
    datasette = await instances()
    datasette.root_enabled = True
    with capture(datasette) as captured, capture(Host(Settings(secret=(SECRET,)))) as other:
        token = await datasette.create_token("root")
        response = await datasette.client.post(
            "/data/-/create", json={"table": "t", "row": {"id": 1}}, headers={"Authorization": f"Bearer {token}"}
        )
        assert response.status_code == 201

    assert "datasette.create_table" in [each.event_name for each in captured.events]
    assert {each.name for each in captured.tokens} == {"token.create", "token.verify"}
    assert not other.events
    assert not other.tokens


async def test_plugin_that_conforms(instances) -> None:
    """Only the plugin's own events have to be emitted, and none of Datasette's core."""
    datasette = await instances(Registrar(Viewed))
    with capture(datasette) as unused:
        pass
    with capture(datasette) as captured:
        await datasette.track_event(Viewed(report="orders"))

    assert list(problems_of(unused)) == [f"registered and never emitted: {__name__}.Viewed"]
    assert not list(problems_of(captured))
