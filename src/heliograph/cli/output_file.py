"""Write the output files of commands."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

import click


def write(path: Path, text: str) -> None:
    """Write a file, and create its folder. If that fails, an existing file is unchanged.

    If the path is a link, the file that it points to is written. An existing file keeps its permissions.

    Raises:
        click.UsageError: The file cannot be written.
    """
    try:
        # A pipe, for example, cannot be replaced.
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
        else:
            _replace(Path(os.path.realpath(path)), text)
    except OSError as error:
        raise click.UsageError(f"{path} cannot be written: {error}") from error


def _replace(path: Path, text: str) -> None:
    # The text is written to a temporary file, which then replaces this one, so that an interruption cannot truncate it.
    temporary = path.with_name(f".heliograph-{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        temporary.write_text(text, encoding="utf-8")
        if path.exists():
            shutil.copymode(path, temporary)
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
