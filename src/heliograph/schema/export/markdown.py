"""Write the catalogue of events as one Markdown page, for people who read the repository.

Texts of event classes are escaped, so that none of them becomes a heading, a link, a table cell or HTML. In the whole page,
characters that are not printable are written as escapes: a reader would not see them, and some reverse the text around them.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from typing import Final

from heliograph.schema.export.catalogue import LAYOUT, AttributeRow, EventEntry, catalogue
from heliograph.schema.model.event import EventSchema
from heliograph.values.text import escape_unprintable


def markdown(schemas: Iterable[EventSchema]) -> dict[str, str]:
    """Return the page, by its file name."""
    entries = catalogue(schemas)
    contents = "\n".join(f"- [{_line(entry.label)}](#{entry.anchor}): {_line(entry.brief)}" for entry in entries)
    pages = ["\n\n".join(filter(None, _page(entry))) for entry in entries]
    page = "\n\n".join(["# Events", contents, *pages]) + "\n"
    return {"events.md": escape_unprintable(page, keep=LAYOUT)}


def _page(entry: EventEntry) -> Iterator[str]:
    yield f'<a id="{entry.anchor}"></a>'
    yield f"## {_line(entry.label)}"
    yield _text(entry.brief)
    yield f"**Deprecated.** {_text(entry.deprecated)}" if entry.deprecated else ""
    yield _text(entry.note)
    yield " · ".join(f"{title}: {_code(value)}" for title, value in entry.facts)
    yield _table(entry.rows) if entry.rows else "This event has no properties."
    yield f"As a log record:\n\n{_block(entry.log_record)}"
    yield f"As a span event:\n\n{_block(entry.span_event)}"
    yield "Queries that find it:\n\n" + "\n".join(f"- {query.where}: {_code(query.text)}" for query in entry.queries)


def _table(rows: Iterable[AttributeRow]) -> str:
    lines = [f"| {' | '.join(_cells(row))} |" for row in rows]
    return "\n".join(["| attribute | type | requirement | privacy | |", "| --- | --- | --- | --- | --- |", *lines])


def _cells(row: AttributeRow) -> Iterator[str]:
    yield _cell(_code(row.attribute))
    yield _cell(_text(row.type) + (f", in {_code(row.unit)}" if row.unit else ""))
    yield _cell(_text(row.requirement))
    yield _cell(_text(row.privacy or "plain"))
    examples = ", ".join(map(_code, row.examples))
    deprecated = f"**Deprecated.** {_text(row.deprecated)}" if row.deprecated else ""
    parts = (deprecated, _text(row.text), f"For example {examples}." if examples else "")
    yield _cell(" ".join(filter(None, parts)))


def _cell(markup: str) -> str:
    return " ".join(markup.replace("|", "\\|").split())


_MARKUP: Final = re.compile(r"[\\`*_\[\]#~$]")
"""Characters that are markup anywhere in a line. ``<``, ``>`` and ``&`` are escaped as HTML."""

_STARTS_BLOCK: Final = re.compile(r"^[ \t]*(?:(\d*)([-+=:|.)]))?", re.MULTILINE)
"""The start of a line: indentation (which would make a code block), and what would start a list, a rule or a table."""


def _text(text: str) -> str:
    """Escape a text so that nothing in it is markup, wherever it is used. A reader sees the text as it was written."""
    # Two spaces at the end of a line would be a line break. A lone CR ends a line, too.
    lines = "\n".join(line.rstrip(" \t") for line in re.split(r"\r\n?|\n", text))
    escaped = _MARKUP.sub(r"\\\g<0>", html.escape(lines, quote=False))
    return _STARTS_BLOCK.sub(lambda found: f"{found[1]}\\{found[2]}" if found[2] else "", escaped)


def _line(text: str) -> str:
    """Escape a text that must stay on one line: a blank line would end a heading, a list item or a link."""
    return _text(" ".join(text.split()))


def _code(text: str) -> str:
    """Return a code span. Its fence of backticks is longer than any run of backticks in the text."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    padding = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{padding}{' '.join(text.split())}{padding}{fence}"


def _block(text: str) -> str:
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}json\n{text}\n{fence}"
