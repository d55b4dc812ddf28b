"""The formats of ``heliograph schema export``."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
import yaml

from heliograph import Event
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.export.formats import EXPORTERS, exporter_of
from heliograph.schema.export.weaver_v2 import SCHEMA_URL
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
    """A file is named after its event name and version."""
    files = EXPORTERS["json-schema"](schemas(OrderEvent, BanEvent))

    assert set(files) == {"shop.order@1.schema.json", "shop.ban.schema.json"}
    assert json.loads(files["shop.ban.schema.json"])["title"] == "shop.ban"


def versions(*names: str) -> list[EventSchema]:
    """Return the schemas of these versions of one event."""
    classes = [type("OddEvent", (Event,), {"name": "odd"}, namespace="shop", version=name) for name in names]
    return [compile_schema(dataclass(cls), namespace="app") for cls in classes]


def test_a_version_cannot_name_another_folder() -> None:
    """A slash in a version is encoded in the name of the file."""
    assert set(EXPORTERS["json-schema"](versions("../../1"))) == {"shop.odd@..%2F..%2F1.schema.json"}


def test_each_version_has_a_file_of_its_own() -> None:
    """The versions may differ only in characters that a file name cannot have."""
    assert (
        len(EXPORTERS["json-schema"](versions("1/2", "1:2", "1_2", "1%2F2", "1 2", "\udc80", "\udc81", "é", "\\"))) == 9
    )


@pytest.mark.parametrize("form", ["weaver", "weaver-v1"])
@pytest.mark.parametrize(
    ("url", "version", "expected"),
    [
        (None, None, SCHEMA_URL),
        (None, "2.0.0", "https://example.com/schemas/events/2.0.0"),
        ("https://shop.org/events/1.0.0", None, "https://shop.org/events/1.0.0"),
        ("https://shop.org/events/1.0.0", "1.0.0", "https://shop.org/events/1.0.0"),
        ("https://shop.org/events/", "1.0.0-rc.1", "https://shop.org/events/1.0.0-rc.1"),
    ],
)
def test_a_weaver_registry_has_a_schema_url_and_a_version(
    form: str, url: str | None, version: str | None, expected: str
) -> None:
    """The version is the last part of the URL."""
    files = exporter_of(form, url, version)(schemas(BanEvent))

    assert yaml.safe_load(files["manifest.yaml"])["schema_url"] == expected


@pytest.mark.parametrize(
    ("form", "url", "version", "problem"),
    [
        ("weaver", "https://shop.org/events", None, "does not end with a version"),
        ("weaver", "https://shop.org/events/1.0.0", "1.0.1", "give one of the two"),
        ("weaver", None, "1.0", "'1.0' is not a version"),
        ("weaver", None, "", "'' is not a version"),
        ("weaver", "shop/1.0.0", None, "is not a schema URL"),
        ("weaver", "https://shop.org", "1.0.0", "is not a schema URL"),
        ("weaver", "https://shop.org/a?b/1.0.0", None, "is not a schema URL"),
        ("weaver", "https://shop.org/a b/1.0.0", None, "is not a schema URL"),
        ("weaver", "", "1.0.0", "is not a schema URL"),
        ("html", "https://shop.org/events/1.0.0", None, "only the formats weaver and weaver-v1"),
        ("json-schema", None, "1.0.0", "only the formats weaver and weaver-v1"),
    ],
)
def test_a_schema_url_that_weaver_refuses_is_an_error(
    form: str, url: str | None, version: str | None, problem: str
) -> None:
    """For another format, any URL is an error: it would have no effect."""
    with pytest.raises(ValueError, match=problem):
        exporter_of(form, url, version)
