"""`heliograph.testing.capture` sees the events and tokens of a `Datasette`."""

from __future__ import annotations

import pytest

from heliograph import Host, Settings
from heliograph.testing import capture
from recorder import SECRET, Telemetry

pytestmark = pytest.mark.anyio


async def test_events_and_tokens_of_one_datasette(telemetry: Telemetry, instances) -> None:
    """They are captured like those of a host, and are no events of another host."""
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
