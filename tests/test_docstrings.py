"""Docstrings of the sources can be understood alone. Those of tests say what the name of the test leaves out, in a sentence."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import heliograph

SOURCES = Path(heliograph.__file__).parent
TESTS = Path(__file__).parent
RIDDLE = re.compile(r"(What|Whether|How|Where|Who|Which)\b(?!ever)")
FRAGMENT = re.compile(
    r"(Also|And|But|Even|Except|Including|Instead of|Neither|Nor|Not|Or|Otherwise|So|Such as|Unless)\b"
)
ENTRY = re.compile(r"^ +\w+: +(\S.*)$", flags=re.MULTILINE)


def nodes(path: Path, pattern: str) -> Iterator[ast.AST]:
    """Yield the nodes of a module, if its text matches the pattern: to parse all modules takes longer than most tests."""
    text = path.read_text(encoding="utf-8")
    return ast.walk(ast.parse(text)) if re.search(pattern, text) else iter(())


def docstrings(path: Path, begin: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every docstring, those of constants included, if a text or an entry may begin so."""
    for node in nodes(path, rf"[\"':]\\?\s*{begin.pattern}"):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text


def riddles(path: Path) -> list[str]:
    """Return the first lines and the entries of `Args:`, `Attributes:` and the like that begin with a question word."""
    return [
        f"{path}:{line}: {sentence}"
        for line, text in docstrings(path, RIDDLE)
        for sentence in (text.lstrip(), *ENTRY.findall(text))
        if RIDDLE.match(sentence)
    ]


def test_docstrings_of_sources_are_no_riddles() -> None:
    """Each docstring can be understood without the code."""
    paths = list(SOURCES.rglob("*.py"))

    assert paths
    assert [riddle for path in paths for riddle in riddles(path)] == []


def test_docstrings_of_tests_are_sentences_of_their_own() -> None:
    """A docstring says what holds. None begins like the rest of a sentence that the name of the test began, and none is a riddle."""
    paths = list(TESTS.rglob("*.py"))
    fragments = [
        f"{path}:{line}: {text}"
        for path in paths
        for line, text in docstrings(path, FRAGMENT)
        if FRAGMENT.match(text.lstrip())
    ]

    assert paths
    assert fragments == []
    assert [riddle for path in paths for riddle in riddles(path)] == []


def test_no_function_is_called_underscore() -> None:
    """A dispatch on our own types is a `match`, so that mypy reports a forgotten type."""
    for path in SOURCES.rglob("*.py"):
        for node in nodes(path, r"def _\W"):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                assert node.name != "_", f"{path}:{node.lineno}"
