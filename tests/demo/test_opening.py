"""The demo ends with the command that opens what it has received."""

from __future__ import annotations

import importlib.metadata
import sysconfig
from pathlib import Path

import pytest

from heliograph.demo import opening
from heliograph.demo.opening import how_to_open

SCRIPTS = Path(sysconfig.get_path("scripts"))


def test_the_command_is_as_short_as_possible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is the name alone where the shell finds it, a path below the current folder, or the whole path."""
    monkeypatch.setenv("PATH", str(SCRIPTS))
    assert how_to_open(Path("my folder"))[-1] == "    datasette 'my folder'"

    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(SCRIPTS.parent)
    assert how_to_open(Path("demo"))[-1] == f"    {SCRIPTS.name}/datasette demo"

    monkeypatch.chdir(tmp_path)
    assert how_to_open(Path("demo"))[-1] == f"    {SCRIPTS}/datasette demo"


@pytest.mark.parametrize(
    ("installed", "said", "command"),
    [
        (None, "To look at it, install Datasette:", "pip install 'datasette>=1.0a41'"),
        (
            "0.65.1",
            "install Datasette 1.0a41 or later (0.65.1 is installed)",
            "pip install --upgrade 'datasette>=1.0a41'",
        ),
    ],
)
def test_without_a_datasette_it_is_installed_first(
    installed: str | None, said: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands are those of the environment that heliograph is in."""

    def version(_: str) -> str:
        if installed is None:
            raise importlib.metadata.PackageNotFoundError
        return installed

    monkeypatch.setattr(opening, "version", version)
    monkeypatch.setenv("PATH", str(SCRIPTS))

    lines = how_to_open(Path("demo"))

    assert said in lines[0]
    assert lines[-2:] == [f"    {command}", "    datasette demo"]
