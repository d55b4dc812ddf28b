"""Write an entry of the catalogue as plain text, for a terminal. The code that prints it escapes control characters."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Final

from heliograph.schema.export.catalogue import AttributeRow, EventEntry

WIDTH: Final = 100
"""The columns of a line of prose. Names, examples and queries are not broken."""


def plain_text(entry: EventEntry) -> str:
    """Return the text: the meaning of the event, its attributes, an example, and queries that find it."""
    parts = [
        _line(entry.label),
        _prose(entry.brief),
        _prose(f"Deprecated. {entry.deprecated}") if entry.deprecated else "",
        _prose(entry.note),
        "\n".join(f"{title}: {_line(value)}" for title, value in entry.facts),
        "Attributes" if entry.rows else "This event has no properties.",
        *("\n".join(_attribute(row)) for row in entry.rows),
        f"Example, as a log record\n\n{textwrap.indent(entry.log_record, '  ')}",
        "Queries that find it\n\n" + "\n".join(f"  {query.where}: {query.text}" for query in entry.queries),
    ]
    return "\n\n".join(filter(None, parts))


def _attribute(row: AttributeRow) -> Iterator[str]:
    yield f"  {row.attribute}"
    facts = [row.type, f"in {row.unit}" if row.unit else "", row.requirement, row.privacy]
    yield f"    {_line(' · '.join(filter(None, facts)))}"
    for text in (f"Deprecated. {row.deprecated}" if row.deprecated else "", row.text):
        if text:
            yield textwrap.indent(_prose(text, WIDTH - 4), "    ")
    if row.examples:
        yield f"    For example {_line(', '.join(row.examples))}."


def _line(text: str) -> str:
    """Return a text of a class as one line, so that no part of it looks like a line of ours."""
    return " ".join(text.split())


def _prose(text: str, width: int = WIDTH) -> str:
    return textwrap.fill(_line(text), width, break_long_words=False, break_on_hyphens=False)
