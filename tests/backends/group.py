"""Programs that run together inside a `with` block."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from typing_extensions import Self

from backends.program import Backend


class ProgramGroup:
    """Programs that are started in their order, and stopped in the opposite one.

    Args:
        programs: The programs.
        absent: The names of the programs that are not started at first.
    """

    def __init__(self, programs: Sequence[Backend], *, absent: frozenset[str] = frozenset()) -> None:
        self._programs = programs
        self._absent = absent

    def __enter__(self) -> Self:
        try:
            for backend in self._programs:
                if backend.program not in self._absent:
                    backend.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop all programs, the last one first."""
        for backend in reversed(self._programs):
            backend.stop()


def made(directory: Path) -> Path:
    """Create a directory for a program, and return it."""
    directory.mkdir(parents=True)
    return directory
