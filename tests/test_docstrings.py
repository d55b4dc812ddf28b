"""Docstrings of the sources can be understood alone. Those of tests say what the name of the test leaves out, in a sentence."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import heliograph

SOURCES = Path(heliograph.__file__).parent
TESTS = Path(__file__).parent
RIDDLE = re.compile(r"(What|Whether|How|Where|Who|Which)\b(?!ever)")
FRAGMENT = re.compile(
    r"(Also|And|But|Even|Except|Including|Instead of|Neither|Nor|Not|Or|Otherwise|So|Such as|Unless)\b"
)
ENTRY = re.compile(r"^ +\w+: +(\S.*)$", flags=re.MULTILINE)


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


@cache
def docstrings(path: Path) -> list[tuple[int, str]]:
    """Return the line and the text of every docstring of a module, those of constants included."""
    return [
        (node.lineno, node.value.value)
        for node in nodes(path)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]


FILES = [*sorted(SOURCES.rglob("*.py")), *sorted(TESTS.rglob("*.py"))]


@pytest.mark.parametrize(
    "path", FILES, ids=lambda path: str(path.relative_to(SOURCES if SOURCES in path.parents else TESTS))
)
def test_docstrings_are_no_riddles(path: Path) -> None:
    """No first line, and no entry of `Args:`, `Attributes:` and the like, begins with a question word."""
    riddles = [
        f"line {line}: {sentence}"
        for line, text in docstrings(path)
        for sentence in (text.lstrip(), *ENTRY.findall(text))
        if RIDDLE.match(sentence)
    ]

    assert not riddles, riddles


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: str(path.relative_to(TESTS)))
def test_docstrings_of_tests_are_sentences_of_their_own(path: Path) -> None:
    """A docstring says what holds. None begins like the rest of a sentence that the name of the test began."""
    fragments = [f"line {line}: {text}" for line, text in docstrings(path) if FRAGMENT.match(text.lstrip())]

    assert not fragments, fragments


def test_no_function_is_called_underscore() -> None:
    """A dispatch on our own types is a `match`, so that mypy reports a forgotten type."""
    for path in SOURCES.rglob("*.py"):
        for node in nodes(path):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                assert node.name != "_", f"{path}:{node.lineno}"
