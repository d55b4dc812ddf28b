"""Mistakes in plugins are reported with the fix."""

from __future__ import annotations

import types

import pytest

from heliograph import hookimpl
from heliograph.hooks.plugin_checks import misspelled_hooks, warn_of_uncalled_hooks
from heliograph.hooks.plugins import Plugins

# Misspelled hooks


class Misspelled:
    @hookimpl
    def register_event(self) -> None: ...

    @hookimpl(specname="track_events")
    def emit(self) -> None: ...

    @hookimpl(optionalhook=True)
    def start_up(self) -> None: ...

    @hookimpl
    def startup(self) -> None: ...

    @hookimpl
    def register_routes(self) -> None: ...


def test_misspelled_hook_is_reported(warnings: pytest.LogCaptureFixture) -> None:
    """The warning has the near name. An optional hook, and one of Datasette that a host does not call, is no mistake."""
    Plugins().register(Misspelled())

    messages = [record.getMessage().partition("implements ")[2] for record in warnings.records]
    assert messages == [
        "'track_events', which is not a hook, so it is never called; did you mean 'track_event'?",
        "'register_event', which is not a hook, so it is never called; did you mean 'register_events'?",
    ]


def test_no_hook_of_datasette_is_reported() -> None:
    """None is as similar to one of ours as a misspelled name is."""
    specs = pytest.importorskip("datasette.hookspecs")
    names = [name for name, spec in vars(specs).items() if hasattr(spec, "datasette_spec")]
    plugin = type("AllOfThem", (), {name: hookimpl(lambda self: None) for name in names})()

    assert len(names) > 20
    assert list(misspelled_hooks(plugin)) == []


# Functions without @hookimpl


def test_function_that_only_resembles_a_hook_is_not_reported(warnings: pytest.LogCaptureFixture) -> None:
    """Such a function has other arguments, is imported to be called, or cannot be read."""

    class Resembling:
        @hookimpl
        def register_events(self) -> list[type]:
            return []

        def track_event(self, name: str, properties: dict[str, object]) -> None: ...

        startup = property(lambda _: 1 / 0)

    module = types.ModuleType("a_plugin")
    module.register_events = hookimpl(lambda: None)  # type: ignore[attr-defined]
    module.track_event = lambda event: None  # type: ignore[attr-defined]  # of this module

    warn_of_uncalled_hooks(Resembling())
    warn_of_uncalled_hooks(module)

    assert warnings.messages == []


def test_plugin_whose_own_code_fails_raises_nothing(warnings: pytest.LogCaptureFixture) -> None:
    """In Datasette, plugins are checked that others have installed: a failure of one would end the start of the server."""

    class Unreadable:
        def __dir__(self) -> list[str]:
            raise RuntimeError("not now")

    def register_events() -> list[type]:
        return []

    nameless = types.ModuleType("nameless")
    nameless.register_events = register_events  # type: ignore[attr-defined]
    del nameless.__name__

    warn_of_uncalled_hooks(Unreadable())
    warn_of_uncalled_hooks(nameless)

    assert warnings.messages == []
