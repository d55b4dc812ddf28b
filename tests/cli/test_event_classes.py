"""The event classes that a command works on."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from heliograph.cli import event_classes
from heliograph.cli.event_classes import load_object, load_registry
from heliograph.settings import Settings

SHOP = """
    from __future__ import annotations

    from dataclasses import dataclass

    from heliograph import Event, hookimpl


    @dataclass
    class SaleEvent(Event, namespace="shop"):
        name = "sale"
        total: int


    @dataclass
    class BanEvent(Event):
        name = "ban"


    class Plugin:
        @hookimpl
        def register_events(self, datasette):
            async def inner():
                return [SaleEvent, BanEvent]

            return inner


    class Nothing:
        @hookimpl
        def register_events(self):
            return []


    plugin = Plugin()
    nothing = Nothing()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "little_shop.py").write_text(textwrap.dedent(SHOP))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("little_shop", None)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("little_shop:SaleEvent", ["shop.sale"]),
        ("little_shop:plugin", ["shop.sale", "app.ban"]),
        ("little_shop:Plugin", ["shop.sale", "app.ban"]),
    ],
)
def test_a_source_is_a_class_or_a_plugin(source: str, names: list[str]) -> None:
    """A plugin is an object or a class; its hook may be asynchronous."""
    registry = load_registry([source])

    assert [schema.event_name for schema in registry.values()] == names


def test_several_sources_are_loaded_with_the_given_settings() -> None:
    """A class in two sources is registered once."""
    registry = load_registry(["little_shop:BanEvent", "little_shop:plugin"], Settings(namespace="forum"))

    assert [schema.event_name for schema in registry.values()] == ["forum.ban", "shop.sale"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (":plugin", "':plugin' is not a source; write module:Class, module:plugin, or datasette"),
        ("little_shop:", "'little_shop:' is not a source"),
        ("no_such_module:plugin", "no_such_module:plugin: the module 'no_such_module' cannot be imported"),
        ("little_shop:plugin.more", "'little_shop' has no 'plugin.more'"),
        ("little_shop:nothing", "is not an event class and registers no events"),
        ("little_shop", "little_shop: the plugin"),
    ],
)
def test_a_source_that_cannot_be_loaded_is_a_usage_error(source: str, message: str) -> None:
    """The message names the source."""
    with pytest.raises(click.UsageError) as raised:
        load_registry([source])

    assert message in str(raised.value)


def test_a_module_that_fails_at_import_is_a_usage_error(folder: Path) -> None:
    """Whatever it raises."""
    (folder / "broken_shop.py").write_text("raise ZeroDivisionError('no')")

    with pytest.raises(click.UsageError, match="'broken_shop' cannot be imported: no"):
        load_object("broken_shop")


def test_an_object_inside_an_object_can_be_named() -> None:
    """With dots."""
    assert load_object("little_shop:SaleEvent.name") == "sale"


def test_a_missing_datasette_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says how to install it."""
    monkeypatch.setitem(sys.modules, "datasette.app", None)

    with pytest.raises(click.UsageError, match=r"install heliograph\[datasette\]"):
        load_registry(["datasette"])


BROKEN = """
    from dataclasses import dataclass
    from typing import Annotated

    from heliograph import Attribute, Event


    @dataclass
    class BrokenEvent(Event, namespace="shop"):
        name = "broken"
        field: Annotated[str, Attribute("db.no_such")]
"""


def test_a_class_without_a_schema_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless Datasette registered it: somebody else's class must not make the command unusable. It is skipped."""
    (folder / "broken_event.py").write_text(textwrap.dedent(BROKEN))
    broken = load_object("broken_event:BrokenEvent")

    with pytest.raises(click.ClickException, match=r"broken_event:BrokenEvent: .*'field'"):
        load_registry(["broken_event:BrokenEvent"])

    async def of_datasette() -> list[object]:
        return [broken, load_object("little_shop:SaleEvent")]

    monkeypatch.setattr(event_classes, "_classes_of_datasette", of_datasette)
    registry = load_registry(["datasette"])

    assert [schema.event_name for schema in registry.values()] == ["shop.sale"]
    assert "Its events are exported without a schema; it is skipped here." in capsys.readouterr().err


def test_paths_in_the_environment_are_absolute_while_datasette_starts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And as before afterwards. Other variables are not changed."""
    before = {
        "HELIOGRAPH_OUTBOX": "box",
        "HELIOGRAPH_QUARANTINE": str(folder / "quarantine.db"),
        "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE": "ca.pem",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": "",
        "OTEL_SERVICE_NAME": "shop",
    }
    for name, value in before.items():
        monkeypatch.setenv(name, value)

    with event_classes._temporary_working_directory():
        inside = {name: os.environ[name] for name in before}
        assert Path.cwd() != folder

    assert inside == {
        **before,
        "HELIOGRAPH_OUTBOX": str(folder / "box"),
        "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE": str(folder / "ca.pem"),
    }
    assert {name: os.environ[name] for name in before} == before
    assert Path.cwd() == folder
