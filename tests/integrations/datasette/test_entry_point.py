"""The module that Datasette loads has the hooks of the plugin, and does nothing in a Datasette that cannot run them."""

from __future__ import annotations

import runpy
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from forked import run
from heliograph.hooks.plugin_checks import HOOK_MARK
from heliograph.integrations.datasette import entry_point, plugin
from processes import clean_environment


def hooks_of(module: object) -> dict[str, object]:
    return {name: member for name, member in vars(module).items() if hasattr(member, HOOK_MARK)}


def test_entry_point_has_every_hook_of_the_plugin() -> None:
    """A hook that is added to the plugin must be added here, too."""
    assert hooks_of(plugin)
    assert hooks_of(entry_point) == hooks_of(plugin)


def test_distribution_declares_the_entry_point() -> None:
    """Datasette finds the module under the name of the plugin."""
    [declared] = entry_points(group="datasette", name="heliograph")

    assert declared.value == entry_point.__name__


def test_entry_point_has_no_hooks_in_an_older_datasette(
    monkeypatch: pytest.MonkeyPatch, warnings: pytest.LogCaptureFixture
) -> None:
    """The version of Datasette decides, and one warning names it."""
    monkeypatch.setattr("datasette.version.__version__", "0.65.1")

    monkeypatch.delitem(sys.modules, entry_point.__name__)
    names = runpy.run_module(entry_point.__name__)

    assert not [name for name, member in names.items() if hasattr(member, HOOK_MARK)]
    assert warnings.messages == [
        "heliograph does nothing: Datasette 1.0a41 or later is needed, and 0.65.1 is installed; "
        "run: pip install 'heliograph[datasette]'"
    ]


LACKING = """
import sys
sys.modules["heliograph.integrations.datasette.plugin"] = None  # its import raises an ImportError
from datasette.cli import cli
cli(["--version"])
"""


def test_datasette_that_lacks_a_name(tmp_path: Path) -> None:
    """A Datasette without something that the plugin uses keeps working: a later version may have moved it."""
    ended = run(
        [sys.executable, "-c", LACKING], cwd=tmp_path, env=clean_environment(DATASETTE_LOAD_PLUGINS="heliograph")
    )

    assert ended.returncode == 0, ended.stderr
    assert "heliograph does nothing, because Datasette" in ended.stderr
