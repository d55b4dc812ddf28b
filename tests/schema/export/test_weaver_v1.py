"""OpenTelemetry Weaver registries in the older file format."""

from __future__ import annotations

import yaml

from heliograph.schema.export.weaver_v1 import weaver_v1
from heliograph.schema.export.weaver_v2 import weaver_v2
from schema.export.weaver_reader import read_v1
from schema.shop_events import BanEvent, OrderEvent, schemas


def test_both_file_formats_have_the_same_content() -> None:
    """The older one has groups: one for each namespace of attributes, and one for each event."""
    files = weaver_v1(schemas(OrderEvent, BanEvent))
    groups = yaml.safe_load(files["events.yaml"])["groups"]
    registry = yaml.safe_load(weaver_v2(schemas(OrderEvent, BanEvent))["events.yaml"])

    assert read_v1(files)
    assert [group["id"] for group in groups] == [
        "registry.heliograph",
        "registry.shop",
        "event.shop.ban",
        "event.shop.order",
    ]
    attributes = [*groups[0]["attributes"], *groups[1]["attributes"]]
    assert attributes == [{"id": each.pop("key"), **each} for each in registry["attributes"]]
    for group, event in zip(groups[2:], registry["events"]):
        event.pop("requirement_level")
        assert group == {"id": f"event.{event['name']}", "type": "event", **event}


def test_a_registry_without_events_has_no_groups() -> None:
    """The files are written all the same."""
    files = weaver_v1([])

    assert yaml.safe_load(files["events.yaml"])["groups"] == []
    assert "dependencies" in yaml.safe_load(files["manifest.yaml"])
