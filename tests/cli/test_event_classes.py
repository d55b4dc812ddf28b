"""The event classes that a command works on."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from heliograph.cli import event_classes
from heliograph.cli.datasette_source import DatasetteOptions, StartedDatasette
from heliograph.cli.event_classes import load_object, load_registry
from heliograph.cli.main import cli
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
    for name in ("little_shop", "shop_plugin", "shop_package", "shop_package.sales", "two_broken"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("little_shop:SaleEvent", ["shop.sale"]),
        ("little_shop:plugin", ["shop.sale", "app.ban"]),
        ("little_shop:Plugin", ["shop.sale", "app.ban"]),
        ("little_shop", ["shop.sale", "app.ban"]),
        ("shop_plugin", ["shop.sale"]),
        ("shop_package", ["shop.sale"]),
    ],
)
def test_a_source_is_a_module_a_class_or_a_plugin(folder: Path, source: str, names: list[str]) -> None:
    """A plugin is an object or a class; its hook may be asynchronous.

    A module is a plugin, or it stands for the event classes that it or a module of its package defines, without those that it
    imports from elsewhere.
    """
    hook = "\n@hookimpl\ndef register_events():\n    return [SaleEvent]\n"
    (folder / "shop_plugin.py").write_text(
        f"from heliograph import hookimpl\nfrom little_shop import SaleEvent\n{hook}"
    )
    (folder / "shop_package").mkdir()
    (folder / "shop_package" / "sales.py").write_text(textwrap.dedent(SHOP))
    (folder / "shop_package" / "__init__.py").write_text(
        "from heliograph import Event\nfrom little_shop import BanEvent\nfrom shop_package.sales import SaleEvent\n"
        "SaleEvent2 = SaleEvent\nclass Base(Event): ...\n"
    )
    registry = load_registry([source])

    assert [schema.event_name for schema in registry.values()] == names


def test_several_sources_are_loaded_with_the_given_settings() -> None:
    """A class in two sources is registered once."""
    registry = load_registry(["little_shop:BanEvent", "little_shop:plugin"], Settings(namespace="forum"))

    assert [schema.event_name for schema in registry.values()] == ["forum.ban", "shop.sale"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (":plugin", "':plugin' is not a source; write module, module:Class, module:plugin, or datasette"),
        ("little_shop:", "'little_shop:' is not a source"),
        ("no_such_module:plugin", "no_such_module:plugin: the module 'no_such_module' cannot be imported"),
        ("little_shop:plugin.more", "'little_shop' has no 'plugin.more'"),
        ("little_shop:nothing", "is not an event class and registers no events"),
        ("json", "json: the module has neither event classes nor a `register_events` hook"),
    ],
)
def test_a_source_that_cannot_be_loaded_is_a_usage_error(source: str, message: str) -> None:
    """The message names the source."""
    with pytest.raises(click.UsageError) as raised:
        load_registry([source])

    assert message in str(raised.value)


def test_a_module_that_fails_at_import_is_a_usage_error(folder: Path) -> None:
    """A module may raise anything. The message has its text."""
    (folder / "broken_shop.py").write_text("raise ZeroDivisionError('no')")

    with pytest.raises(click.UsageError, match="'broken_shop' cannot be imported: no"):
        load_object("broken_shop")


def test_an_object_inside_an_object_can_be_named() -> None:
    """Dots separate the names of the objects."""
    assert load_object("little_shop:SaleEvent.name") == "sale"


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
    """A class that Datasette registered is skipped instead: somebody else's class must not make the command unusable."""
    (folder / "broken_event.py").write_text(textwrap.dedent(BROKEN))
    broken = load_object("broken_event:BrokenEvent")

    with pytest.raises(click.ClickException, match=r"broken_event:BrokenEvent: .*'field'"):
        load_registry(["broken_event:BrokenEvent"])

    async def started(options: DatasetteOptions) -> StartedDatasette:
        return StartedDatasette(event_classes=(broken, load_object("little_shop:SaleEvent")), config=None)

    monkeypatch.setattr(event_classes, "start_datasette", started)
    registry = load_registry(["datasette"])

    assert [schema.event_name for schema in registry.values()] == ["shop.sale"]
    assert "Its events are exported without a schema; it is skipped here." in capsys.readouterr().err


def test_all_problems_of_all_sources_are_reported_at_once(folder: Path) -> None:
    """Each once: sources that cannot be loaded, and classes without a schema."""
    second = BROKEN.split("@dataclass")[1].replace("BrokenEvent", "SecondEvent").replace("broken", "second")
    (folder / "two_broken.py").write_text(textwrap.dedent(f"{BROKEN}\n    @dataclass{second}"))
    sources = ["two_broken", "little_shop", "nowhere", "two_broken:Missing", "two_broken"]

    with pytest.raises(click.UsageError) as raised:
        load_registry(sources)
    with pytest.raises(click.ClickException) as broken:
        load_registry(sources[:2])

    begins = [line.split(": ")[1] for line in raised.value.message.splitlines()]
    assert begins == [
        "the module 'nowhere' cannot be imported",
        "'two_broken' has no 'Missing'",
        "two_broken.BrokenEvent",
        "two_broken.SecondEvent",
    ]
    assert len(broken.value.message.splitlines()) == 2


def test_the_current_folder_is_searched_once(folder: Path) -> None:
    """Several sources do not make the search path longer."""
    load_object("little_shop:SaleEvent")
    load_object("little_shop:SaleEvent")

    assert sys.path.count(str(folder)) == 1


def test_options_of_datasette_without_it_are_a_wrong_call(folder: Path) -> None:
    """The exit status is 2, and nothing is written."""
    ran = CliRunner().invoke(cli, ["schema", "lock", "little_shop:SaleEvent", "--plugins-dir", str(folder)])

    assert ran.exit_code == 2
    assert "are options of the source `datasette`, which is missing" in ran.output
    assert not (folder / "events.lock.json").exists()
