"""The blocks of code of a page of the documentation.

A block of Python, YAML or TOML whose first line is a comment with the name of a file (`# shop/events.py`) is that file. With
`# shop/events.py, continued` it is the next part of that file. The comment `<!-- Not run in the tests: REASON. -->` before a block of
Python or a block of the console excludes it. Readers of the page do not see it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from backends import REPOSITORY

DOCS = REPOSITORY / "docs"

_FILE = re.compile(r"# ([\w./-]+\.(?:py|ya?ml|toml))(, continued)?\n")
_NOT_RUN = re.compile(r"<!-- Not run in the tests: (.+?)\.? -->", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        language: The word after the fence, such as `python`.
        content: The code.
        line: The line of the page before the first line of the code, from 1 on.
        heading: The heading of the section.
        not_run: The reason for which the block is not run.
    """

    language: str
    content: str
    line: int
    heading: str
    not_run: str | None

    @property
    def file(self) -> str | None:
        """The name of the file that the block is."""
        named = _FILE.match(self.content)
        return named[1] if named else None

    @property
    def continues(self) -> bool:
        """The block is not the first part of its file."""
        named = _FILE.match(self.content)
        return bool(named and named[2])


def pages() -> list[Path]:
    """Return the README and the pages of the documentation site."""
    return [REPOSITORY / "README.md", *sorted(DOCS.rglob("*.md"))]


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page, in order."""
    found: list[Block] = []
    heading, comment, before = "", "", ""
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type == "inline":
            heading, comment = token.content if before == "heading_open" else heading, ""
        elif token.type == "html_block":
            comment = token.content
        elif token.type == "fence":
            assert token.map is not None
            reason = _NOT_RUN.match(comment)
            not_run = reason[1] if reason else None
            found.append(Block(token.info.strip(), token.content, token.map[0] + 1, heading, not_run))
            comment = ""
        before = token.type
    return found


def section(page: Path, heading: str, language: str) -> list[str]:
    """Return the blocks in this language below a heading."""
    found = [each.content for each in blocks_of(page) if (each.heading, each.language) == (heading, language)]
    assert found, (page.name, heading, language)
    return found


def commands_of(block: Block) -> list[tuple[str, list[str]]]:
    """Return the commands of a block of the console, each with the lines that it prints according to the page."""
    commands: list[tuple[str, list[str]]] = []
    for line in block.content.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        elif commands and commands[-1][0].endswith("\\") and not commands[-1][1]:
            commands[-1] = (f"{commands[-1][0]}\n{line}", [])
        else:
            commands[-1][1].append(line)
    return commands
