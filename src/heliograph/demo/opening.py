"""The commands that a person needs to open the folder of the demo."""

from __future__ import annotations

import shlex
import shutil
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from heliograph.integrations.datasette.supported_version import OLDEST, is_supported


def how_to_open(folder: Path) -> list[str]:
    """Return the lines that say how to look at the folder."""
    opened = f"    {_command('datasette')} {shlex.quote(str(folder))}"
    try:
        installed = version("datasette")
    except PackageNotFoundError:
        return ["To look at it, install Datasette:", "", f"    {_command('pip')} install 'datasette>={OLDEST}'", opened]
    if not is_supported(installed):
        upgrade = f"    {_command('pip')} install --upgrade 'datasette>={OLDEST}'"
        return [f"To look at it, install Datasette {OLDEST} or later ({installed} is installed):", "", upgrade, opened]
    return ["To look at it, run this, and open the page that it names:", "", opened]


def _command(name: str) -> str:
    """Return the shortest text by which a shell finds a command of this Python's environment."""
    script = Path(sysconfig.get_path("scripts")) / name
    if shutil.which(name) == str(script):
        return name
    if not script.is_relative_to(here := Path.cwd()):
        return shlex.quote(str(script))
    return shlex.quote(str(script.relative_to(here)))
