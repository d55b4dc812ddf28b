"""The formats of ``heliograph schema export``."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from heliograph import Event
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.export.formats import EXPORTERS
from heliograph.schema.model.event import EventSchema
from schema.shop_events import BanEvent, OrderEvent, schemas


@pytest.mark.parametrize("name", EXPORTERS)
def test_an_exporter_is_a_pure_function(name: str) -> None:
    """The same schemas give the same files, with names inside the folder."""
    export = EXPORTERS[name]

    files = export(schemas(OrderEvent, BanEvent))

    assert files
    assert files == export(schemas(OrderEvent, BanEvent))
    assert all("/" not in file for file in files)


def test_each_event_has_a_file_of_json_schema() -> None:
    """Named after its event name and version."""
    files = EXPORTERS["json-schema"](schemas(OrderEvent, BanEvent))

    assert set(files) == {"shop.order@1.schema.json", "shop.ban.schema.json"}
    assert json.loads(files["shop.ban.schema.json"])["title"] == "shop.ban"


def versions(*names: str) -> list[EventSchema]:
    """Return the schemas of these versions of one event."""
    classes = [type("OddEvent", (Event,), {"name": "odd"}, namespace="shop", version=name) for name in names]
    return [compile_schema(dataclass(cls), namespace="app") for cls in classes]


def test_a_version_cannot_name_another_folder() -> None:
    """A slash in it is encoded."""
    assert set(EXPORTERS["json-schema"](versions("../../1"))) == {"shop.odd@..%2F..%2F1.schema.json"}


def test_each_version_has_a_file_of_its_own() -> None:
    """The versions may differ only in characters that a file name cannot have."""
    assert (
        len(EXPORTERS["json-schema"](versions("1/2", "1:2", "1_2", "1%2F2", "1 2", "\udc80", "\udc81", "é", "\\"))) == 9
    )
