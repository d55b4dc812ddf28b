"""Plugins are pluggy's, of Datasette's project name, and told apart when their hooks are called."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pluggy
import pytest

from heliograph import HeliographError, PluginError, hookimpl
from heliograph.hooks.plugins import Plugins, flatten_results, resolve_result
from recorder import Telemetry


class Named:
    """Answers with its name, and notes that it was asked."""

    def __init__(self, name: str, asked: list[str]) -> None:
        self.name = name
        self.asked = asked

    @hookimpl
    def track_event(self, event: object) -> str:
        self.asked.append(self.name)
        return self.name


def loaded(*plugins: object) -> Plugins:
    loaded = Plugins()
    for plugin in plugins:
        loaded.register(plugin)
    return loaded


def test_hooks_are_called_in_pluggys_order() -> None:
    """Last registered, first called, but for `tryfirst` and `trylast`."""
    asked: list[str] = []

    class First(Named):
        @hookimpl(tryfirst=True)
        def track_event(self, event: object) -> str:
            return super().track_event(event)

    class Last(Named):
        @hookimpl(trylast=True)
        def track_event(self, event: object) -> str:
            return super().track_event(event)

    plugins = loaded(First("first", asked), Named("a", asked), Named("b", asked), Last("last", asked))

    assert plugins.call("track_event", datasette=None, event=None) == ["first", "b", "a", "last"]
    assert [call(datasette=None, event=None) for _, call in plugins.calls_by_plugin("track_event")] == [
        ["first"],
        ["b"],
        ["a"],
        ["last"],
    ]
    assert asked == ["first", "b", "a", "last"] * 2


def test_wrapper_wraps_each_of_the_calls() -> None:
    """A plugin that wraps the hook is asked around every other, and is no call of its own."""

    class Wrapper:
        @hookimpl(wrapper=True)
        def track_event(self, event: object) -> Iterator[None]:
            results = yield
            return [f"<{result}>" for result in results]  # type: ignore[attr-defined]

    plugins = loaded(Wrapper(), Named("a", []), Named("b", []))

    assert [call(datasette=None, event=None) for _, call in plugins.calls_by_plugin("track_event")] == [
        ["<b>"],
        ["<a>"],
    ]


def test_plugin_registered_later_is_called() -> None:
    """What was asked for before is asked for again."""
    plugins = loaded(Named("a", []))
    assert len(plugins.calls_by_plugin("track_event")) == 1

    plugins.register(Named("b", []))

    assert [call(datasette=None, event=None) for _, call in plugins.calls_by_plugin("track_event")] == [["b"], ["a"]]


def test_call_of_asks_one_plugin_alone() -> None:
    """For a plugin that joins while the host runs."""
    asked: list[str] = []
    one, other = Named("one", asked), Named("other", asked)

    assert loaded(one, other).call_plugin(one, "track_event", datasette=None, event=None) == ["one"]
    assert asked == ["one"]


def test_module_is_a_plugin() -> None:
    """As in Datasette: functions of a module, with the arguments that they want."""
    module = types.ModuleType("a_plugin")
    module.track_event = hookimpl(lambda event: "module")  # type: ignore[attr-defined]

    assert loaded(module).call("track_event", datasette=None, event=None) == ["module"]


def test_marker_is_datasettes() -> None:
    """A plugin marked by pluggy under the project name is one of ours."""

    class Theirs:
        @pluggy.HookimplMarker("datasette")
        def track_event(self, datasette: object, event: object) -> str:
            return "theirs"

    assert loaded(Theirs()).call("track_event", datasette=None, event=None) == ["theirs"]


def test_hook_that_a_host_does_not_have_is_let_be() -> None:
    """A plugin of Datasette's may have many others."""

    class Theirs:
        @hookimpl
        def extra_css_urls(self, template: object, datasette: object) -> list[str]:
            return []

    assert len(list(loaded(Theirs()))) == 1


def test_argument_that_the_hook_does_not_have_is_an_error() -> None:
    """The plugin and the argument are named."""

    class Wrong:
        @hookimpl
        def track_event(self, evnt: object) -> None:
            pass

        def __repr__(self) -> str:
            return "<the wrong one>"

    with pytest.raises(PluginError, match=r"(?s)the plugin <the wrong one> cannot be registered: .*evnt"):
        loaded(Wrong())


def test_plugin_that_is_there_already_is_an_error() -> None:
    """It would answer twice."""
    plugin = Named("a", [])

    with pytest.raises(PluginError, match="cannot be registered"):
        loaded(plugin, plugin)


# Entry points


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place for modules of an installed distribution, whose entry point is the module `an_entry_point_plugin`."""
    info = tmp_path / "a_distribution-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: a-distribution\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[heliograph]\na_name = an_entry_point_plugin\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("an_entry_point_plugin", None)


PLUGIN = """
from dataclasses import dataclass
from heliograph import Event, hookimpl

@dataclass
class InstalledEvent(Event):
    name = "installed"

@hookimpl
def register_events():
    return [InstalledEvent]
"""


def test_installed_plugin_is_part_of_every_host(distribution: Path, telemetry: Telemetry) -> None:
    """By the entry points of the group `heliograph`."""
    (distribution / "an_entry_point_plugin.py").write_text(PLUGIN)

    with telemetry.host() as host:
        assert [cls.__name__ for cls in host.event_classes] == ["InstalledEvent"]


def test_installed_plugin_that_cannot_be_imported_is_named(distribution: Path, telemetry: Telemetry) -> None:
    """The name, the module, the reason and the mend are in the error."""
    (distribution / "an_entry_point_plugin.py").write_text("raise OSError('no such driver')")

    with pytest.raises(PluginError, match=r"'a_name' \(an_entry_point_plugin\).*no such driver.*uninstall") as caught:
        telemetry.host()
    assert isinstance(caught.value, HeliographError)


# Results


@pytest.mark.anyio
@pytest.mark.parametrize("form", ["value", "function", "async function", "coroutine"])
async def test_result_may_be_a_value_or_something_to_await(form: str) -> None:
    """As Datasette's `await_me_maybe` does."""

    async def inner() -> int:
        return 7

    forms = {"value": 7, "function": lambda: 7, "async function": inner}

    assert await resolve_result(forms[form] if form in forms else inner()) == 7


def test_flat_takes_one_a_list_or_nothing() -> None:
    """What a hook gives in any of these forms."""
    assert list(flatten_results([1, [2, 3], None, (4,), []])) == [1, 2, 3, 4]
