"""Write the files that commands make."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import click


def write(path: Path, text: str) -> None:
    """Write a file, and create its folder. If that fails, an existing file is unchanged.

    Raises:
        click.UsageError: The file cannot be written.
    """
    # The text is written to another file, which then replaces this one: no interruption can truncate the file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise click.UsageError(f"{path} cannot be written: {error}") from error
