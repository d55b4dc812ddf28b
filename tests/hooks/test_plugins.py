"""Plugins are registered with pluggy under Datasette's project name; each hook can be called plugin by plugin."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pluggy
import pytest

from heliograph import HeliographError, PluginError, hookimpl
from heliograph.hooks.plugin_checks import misspelled_hooks
from heliograph.hooks.plugins import Plugins, flatten_results, items_of, resolve_result
from recorder import Telemetry


class Named:
    """A plugin that returns its name and records that it was called."""

    def __init__(self, name: str, called: list[str]) -> None:
        self.name = name
        self.called = called

    @hookimpl
    def track_event(self, event: object) -> str:
        self.called.append(self.name)
        return self.name


def loaded(*plugins: object) -> Plugins:
    loaded = Plugins()
    for plugin in plugins:
        loaded.register(plugin)
    return loaded


def test_hooks_are_called_in_pluggys_order() -> None:
    """The plugin that was registered last is called first, except for `tryfirst` and `trylast`."""
    called: list[str] = []

    class First(Named):
        @hookimpl(tryfirst=True)
        def track_event(self, event: object) -> str:
            return super().track_event(event)

    class Last(Named):
        @hookimpl(trylast=True)
        def track_event(self, event: object) -> str:
            return super().track_event(event)

    plugins = loaded(First("first", called), Named("a", called), Named("b", called), Last("last", called))

    assert plugins.call("track_event", datasette=None, event=None) == ["first", "b", "a", "last"]
    assert [call(datasette=None, event=None) for _, call in plugins.calls_by_plugin("track_event")] == [
        ["first"],
        ["b"],
        ["a"],
        ["last"],
    ]
    assert called == ["first", "b", "a", "last"] * 2


def test_plugin_that_is_registered_during_a_call_is_called_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread has looked for the plugins of the hook just before, and remembers those that it found."""
    plugins = loaded(Named("old", []))
    find = Plugins._implementers

    def find_and_register(self: Plugins, hook: str) -> dict[str, object]:
        found = find(self, hook)
        monkeypatch.undo()
        plugins.register(Named("new", []))
        return found

    monkeypatch.setattr(Plugins, "_implementers", find_and_register)
    plugins.calls_by_plugin("track_event")

    assert [call(datasette=None, event=None) for _, call in plugins.calls_by_plugin("track_event")] == [
        ["new"],
        ["old"],
    ]


def test_wrapper_wraps_the_call_of_each_plugin() -> None:
    """A plugin that only wraps the hook has no call of its own."""

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


@pytest.mark.parametrize("options", [{"wrapper": True}, {"hookwrapper": True}, {"wrapper": True, "trylast": True}])
def test_call_is_that_of_pluggy(options: dict[str, bool]) -> None:
    """With and without a wrapper, in the same order, `None` is no result, and an exception ends the call."""

    class Wrapper:
        @hookimpl(**options)  # type: ignore[call-overload]
        def track_event(self) -> Iterator[None]:
            result = yield
            if "hookwrapper" in options:
                result.force_result([*result.get_result(), "wrapped"])  # type: ignore[attr-defined]
                return None
            return [*result, "wrapped"]  # type: ignore[misc]

    class Silent(Named):
        @hookimpl(tryfirst=True)
        def track_event(self) -> None:  # type: ignore[override]
            self.called.append(self.name)

    class Failing:
        @hookimpl(trylast=True)
        def track_event(self, datasette: object) -> None:
            raise LookupError(datasette)

    called: list[str] = []
    plain = loaded(Named("a", called), Silent("silent", called), Named("b", called))
    assert plain.call("track_event", datasette=None, event=None) == ["b", "a"]
    plain.register(Wrapper())
    assert plain.call("track_event", datasette=None, event=None) == ["b", "a", "wrapped"]
    assert called == ["silent", "b", "a"] * 2
    with pytest.raises(LookupError, match="host"):
        loaded(Failing()).call("track_event", datasette="host", event=None)


def test_plugin_registered_later_is_called() -> None:
    """The cached calls are dropped when a plugin is registered."""
    plugins = loaded(Named("a", []))
    assert len(plugins.calls_by_plugin("track_event")) == 1

    plugins.register(Named("b", []))

    assert [call(datasette=None, event=None) for _, call in plugins.calls_by_plugin("track_event")] == [["b"], ["a"]]


def test_plugin_is_removed_by_its_name() -> None:
    """The name is the one with which the hooks of a plugin are returned."""
    one, other = Named("one", []), Named("other", [])
    plugins = loaded(one, other)

    plugins.unregister_name(plugins.name_of(one))

    assert [name for name, _ in plugins.calls_by_plugin("track_event")] == [plugins.name_of(other)]


@pytest.mark.parametrize(
    ("result", "items"),
    [
        (None, []),
        (Named, [Named]),
        ([Named], [Named]),
        ((Named,), [Named]),
        ({Named}, [Named]),
        ((each for each in [Named]), [Named]),
        (7, [7]),
    ],
)
def test_event_classes_in_a_result(result: object, items: list[object]) -> None:
    """Any iterable, as in Datasette, or one class. What is neither is for the caller to reject."""
    assert list(items_of(result)) == items


def test_module_is_a_plugin() -> None:
    """As in Datasette, a hook function may be a function of a module, and take only the arguments that it needs."""
    module = types.ModuleType("a_plugin")
    module.track_event = hookimpl(lambda event: "module")  # type: ignore[attr-defined]

    assert loaded(module).call("track_event", datasette=None, event=None) == ["module"]


def test_marker_is_datasettes() -> None:
    """A plugin that uses Datasette's own `hookimpl` is accepted."""

    class Theirs:
        @pluggy.HookimplMarker("datasette")
        def track_event(self, datasette: object, event: object) -> str:
            return "theirs"

    assert loaded(Theirs()).call("track_event", datasette=None, event=None) == ["theirs"]


def test_hook_that_a_host_does_not_have_is_ignored() -> None:
    """A plugin written for Datasette may implement many other hooks."""

    class Theirs:
        @hookimpl
        def extra_css_urls(self, template: object, datasette: object) -> list[str]:
            return []

    assert len(list(loaded(Theirs()))) == 1


def test_plugin_that_is_not_registered_cannot_be_removed() -> None:
    """An object that is only equal to a registered plugin is not registered."""
    with pytest.raises(PluginError, match=r"Named.* is not registered, so it cannot be removed"):
        loaded(Named("one", [])).unregister(Named("one", []))


def test_plugins_have_names_for_messages() -> None:
    """The name of the module, or of the class of an object; a number tells objects of one class apart."""
    module = types.ModuleType("a_plugin")
    module.track_event = hookimpl(lambda event: "module")  # type: ignore[attr-defined]
    one, other = Named("one", []), Named("other", [])

    plugins = loaded(module, one, other)

    named = f"{__name__}.Named"
    assert [plugins.name_of(each) for each in (module, one, other)] == ["a_plugin", named, f"{named} (2)"]
    plugins.unregister(one)
    plugins.register(one)
    assert [plugins.name_of(each) for each in (one, other)] == [named, f"{named} (2)"]


class Static:
    """A class that is a plugin itself: it can be called without an object of it."""

    @staticmethod
    @hookimpl
    def track_event(event: object) -> str:
        return "static"


def test_class_as_a_plugin_has_its_name() -> None:
    """pluggy has the same name for it."""
    assert loaded(Static).calls_by_plugin("track_event")[0][0].endswith("Static")


def test_attribute_that_cannot_be_read_is_no_hook() -> None:
    """A plugin may have a property that works in a request only."""

    class Lazy(Named):
        hook_like = property(lambda _: 1 / 0)

    assert list(misspelled_hooks(Lazy("lazy", []))) == []


def test_attribute_without_a_class_is_no_error_of_pluggy() -> None:
    """`isinstance` asks an object for its `__class__`, which may raise."""

    class Lazy:
        __class__ = property(lambda _: 1 / 0)  # type: ignore[assignment]

    class Holder(Named):
        lazy = Lazy()

    with pytest.raises(PluginError, match="cannot be registered: division by zero"):
        loaded(Holder("holder", []))


def test_plugin_that_cannot_be_registered_has_no_hooks() -> None:
    """The right hooks of the plugin are removed with the wrong one, and the plugins before it stay."""

    class Wrong(Named):
        @hookimpl
        def zzz_startup(self, datasette: object) -> None:
            pass

        @hookimpl
        def startup(self, databse: object) -> None:
            pass

        @hookimpl
        def register_events(self, datasette: object) -> None:
            pass

    plugins = loaded(Named("a", []))
    for _ in range(2):
        with pytest.raises(PluginError, match="databse"):
            plugins.register(Wrong("wrong", []))

    assert list(map(type, plugins)) == [Named]
    assert plugins.calls_by_plugin("register_events") == []
    assert len(plugins.calls_by_plugin("track_event")) == 1


def test_argument_that_the_hook_does_not_have_is_an_error() -> None:
    """The message names the plugin and the argument."""

    class Wrong:
        @hookimpl
        def track_event(self, evnt: object) -> None:
            pass

        def __repr__(self) -> str:
            return "<the wrong one>"

    with pytest.raises(PluginError, match=r"(?s)the plugin <the wrong one> cannot be registered: .*evnt"):
        loaded(Wrong())


@pytest.mark.parametrize("load", ["register", "unregister", "load_entry_points"])
def test_cached_calls_are_dropped_when_the_plugins_change(load: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each method that changes the plugins changes the calls that `calls_by_plugin` returns. An entry point is loaded once."""
    first, second = Named("first", []), Named("second", [])
    plugins = loaded(first, second) if load == "unregister" else loaded(first)
    before = len(plugins.calls_by_plugin("track_event"))

    if load == "register":
        plugins.register(second)
    elif load == "unregister":
        plugins.unregister(second)
    else:
        monkeypatch.setitem(sys.modules, "a_second_plugin", second)
        entry_point = EntryPoint("second", "a_second_plugin", "heliograph")
        monkeypatch.setattr("heliograph.hooks.plugins.entry_points", lambda group: [entry_point, entry_point])
        plugins.load_entry_points()

    assert abs(len(plugins.calls_by_plugin("track_event")) - before) == 1


def test_calls_are_cached() -> None:
    """Two events do not compute the calls twice."""
    plugins = loaded(Named("a", []))

    assert plugins.calls_by_plugin("track_event") is plugins.calls_by_plugin("track_event")


def test_object_without_a_hook_function_is_an_error() -> None:
    """A plugin without hooks is a mistake, such as a forgotten @hookimpl."""
    with pytest.raises(PluginError, match="has no function that is marked with @hookimpl"):
        loaded(types.ModuleType("empty"))


def test_class_instead_of_an_instance_is_an_error() -> None:
    """Methods of a class cannot be called without an instance. A class whose hooks are static or class methods is a plugin."""
    with pytest.raises(PluginError, match="is a class; register an instance of it"):
        loaded(Named)
    assert loaded(Static).call("track_event", datasette=None, event=None) == ["static"]


def test_plugin_that_cannot_be_hashed_is_an_error() -> None:
    """pluggy keeps plugins in sets, and would raise a TypeError that does not name the plugin."""

    class Unhashable(Named):
        __hash__ = None  # type: ignore[assignment]

    with pytest.raises(PluginError, match="cannot be registered: unhashable"):
        loaded(Unhashable("a", []))


def test_plugin_that_is_registered_already_is_an_error() -> None:
    """The hooks of a plugin that is registered twice would be called twice."""
    plugin = Named("a", [])

    with pytest.raises(PluginError, match="is registered already"):
        loaded(plugin, plugin)


# Entry points


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder of an installed distribution whose entry point is the module `an_entry_point_plugin`."""
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
    """Plugins are found by the entry points of the group `heliograph`."""
    (distribution / "an_entry_point_plugin.py").write_text(PLUGIN)

    with telemetry.host() as host:
        assert [cls.__name__ for cls in host.event_classes] == ["InstalledEvent"]


def test_installed_plugin_that_cannot_be_imported_is_named(distribution: Path, telemetry: Telemetry) -> None:
    """The message contains the name, the module, the reason and the fix."""
    (distribution / "an_entry_point_plugin.py").write_text("raise OSError('no such driver')")

    with pytest.raises(PluginError, match=r"'a_name' \(an_entry_point_plugin\).*no such driver.*uninstall") as caught:
        telemetry.host()
    assert isinstance(caught.value, HeliographError)


def test_installed_plugin_without_a_hook_is_named(distribution: Path, telemetry: Telemetry) -> None:
    """An installed plugin is checked as one is that a program registers."""
    (distribution / "an_entry_point_plugin.py").write_text("def startup(datasette):\n    pass\n")

    with pytest.raises(
        PluginError, match=r"'a_name' \(an_entry_point_plugin\).*has no function.*write @hookimpl.*uninstall"
    ):
        telemetry.host()


def test_installed_plugin_with_a_misspelled_hook_is_reported(
    distribution: Path, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    """The warning is that of a plugin that a program registers."""
    misspelled = PLUGIN + "\n\n@hookimpl\ndef register_event():\n    return []\n"
    (distribution / "an_entry_point_plugin.py").write_text(misspelled)

    with telemetry.host():
        assert (
            "'register_event', which is not a hook, so it is never called; did you mean 'register_events'?"
            in caplog.text
        )


# Results


@pytest.mark.anyio
@pytest.mark.parametrize("form", ["value", "function", "async function", "coroutine"])
async def test_result_may_be_a_value_or_something_to_await(form: str) -> None:
    """A result is called or awaited as Datasette's `await_me_maybe` does."""

    async def inner() -> int:
        return 7

    forms = {"value": 7, "function": lambda: 7, "async function": inner}

    assert await resolve_result(forms[form] if form in forms else inner()) == 7


@pytest.mark.anyio
async def test_result_may_be_a_class() -> None:
    """`register_events` may return one event class: it must not be called."""
    assert await resolve_result(Named) is Named


def test_flat_takes_one_a_list_or_nothing() -> None:
    """Each plugin may return one thing, a list, a tuple, or None."""
    assert list(flatten_results([1, [2, 3], None, (4,), []])) == [1, 2, 3, 4]
