"""Collect the source of one generated function: its constants, its helper functions, and the names of all of them."""

from __future__ import annotations

import functools
import marshal
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

INDENT: Final = "    "
MAX_CACHED_CODES: Final = 64
"""The largest number of sources whose code is kept for an equal source."""


class Code(NamedTuple):
    """The source for the common values of a type.

    Attributes:
        test: The condition under which a variable has a common value. It may set further variables.
        form: The expression of its form, which is evaluated only if the test is true.
        may_raise: True if one of the two can raise an exception. The value is then not common either.
        uses_room: True if the form counts down the variable ``room``.
    """

    test: str
    form: str
    may_raise: bool = False
    uses_room: bool = False


class Steps(NamedTuple):
    """The source for the common values of one field, or of a field inside of it.

    Attributes:
        test: The condition under which a value is common.
        lines: The statements that then add its attributes.
        may_raise: True if the test or a statement can raise an exception. The value is then not common either.
        is_gradual: True if some attributes may have been added when that happens.
        uses_room: True if a statement counts down the variable ``room``, which must have been set before.
    """

    test: str
    lines: list[str]
    may_raise: bool
    is_gradual: bool = False
    uses_room: bool = False


class Source:
    """The source of one function, with everything that it refers to.

    Attributes:
        constants: The values that the source refers to, by the names that it has for them.
    """

    def __init__(self) -> None:
        self.constants: dict[str, object] = {}
        self._functions: list[str] = []
        self._counts: dict[str, int] = {}

    def name(self, prefix: str) -> str:
        """Return a new name, such as ``value_3``."""
        number = self._counts.get(prefix, 0)
        self._counts[prefix] = number + 1
        return f"{prefix}_{number}"

    def constant(self, prefix: str, value: object) -> str:
        """Return a new name for a value that cannot be written as source."""
        name = self.name(prefix)
        self.constants[name] = value
        return name

    def function(self, prefix: str, parameters: str, body: Sequence[str]) -> str:
        """Add a helper function, and return its name."""
        name = self.name(prefix)
        self._functions.append("\n".join([f"def {name}({parameters}):", *indented(body)]))
        return name

    def text(self) -> str:
        """Return the source of all functions, in the order in which they were added."""
        return "\n\n".join(self._functions) + "\n"

    def compile(self, known: Mapping[str, object]) -> dict[str, Any]:
        """Run the source, and return its names.

        Args:
            known: The values that the source refers to by names of their own.
        """
        names = {**known, **self.constants}
        # Both the source and its code are made here: see the docstring of the package.
        exec(marshal.loads(_compiled(self.text())), names)  # noqa: S102, S302
        return names


@functools.lru_cache(maxsize=MAX_CACHED_CODES)
def _compiled(text: str) -> bytes:
    """Return the code of a source in the form of `marshal`: each host generates the functions of the same events of its own.

    The code itself is not shared: the interpreter keeps in it what it has learned about the values that one function refers to.
    """
    return marshal.dumps(compile(text, "<string>", "exec"))


def indented(lines: Sequence[str]) -> list[str]:
    """Return lines one level deeper."""
    return [INDENT + line for line in lines]


def block(head: str, *lines: str) -> list[str]:
    """Return a compound statement: its first line, and the lines of its body one level deeper."""
    return [head, *indented(lines)]


def all_of(tests: Iterable[str]) -> str:
    """Return the condition that all tests hold."""
    return " and ".join(f"({each})" if " or " in each else each for each in tests)


def any_of(tests: Iterable[str]) -> str:
    """Return the condition that one of several tests holds."""
    tests = tuple(tests)
    return tests[0] if len(tests) == 1 else " or ".join(f"({each})" if " and " in each else each for each in tests)
