"""Text is escaped and shortened for the wire and for people."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.values.privacy import Protected
from heliograph.values.text import (
    MAX_BODY,
    counted,
    display,
    escape_surrogates,
    escape_unprintable,
    to_json,
    to_readable_json,
    utc,
)

ODD_TEXT = st.text(st.characters(categories=None))


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("ban-user", "ban-user"),
        ("žluť 🌞", "žluť 🌞"),
        ("a\x1b[31m\nb\u202e\x00", "a\\x1b[31m\\nb\\u202e\\x00"),
        ("\udc80", "\\udc80"),
        ("x" * MAX_BODY, "x" * MAX_BODY),
        ("x" * (MAX_BODY + 1), "x" * MAX_BODY + "…"),
    ],
)
def test_display(value: str, line: str) -> None:
    """Control characters and surrogates are escaped, and the line ends after 256 characters."""
    assert display(value) == line


@given(ODD_TEXT)
def test_display_is_one_printable_line(value: str) -> None:
    """No character moves a cursor, hides another one, or cannot be written as UTF-8."""
    line = display(value)

    assert line.isprintable()
    line.encode()
    assert display(line[:MAX_BODY]) == line[:MAX_BODY]


@given(ODD_TEXT)
def test_escaped_text_can_be_written_as_utf8(value: str) -> None:
    """A text without lone surrogates is unchanged."""
    escaped = escape_surrogates(value)

    assert escaped.encode() == value.encode(errors="backslashreplace")


def test_json_is_compact_or_readable() -> None:
    """Protected text is written as text, and other languages are not escaped."""
    form = {"a": [1, None, True, Protected("<masked>")], "ö": 1.5}

    assert to_json(form) == '{"a":[1,null,true,"<masked>"],"ö":1.5}'
    assert json.loads(to_readable_json(form)) == json.loads(to_json(form))
    assert '"ö": 1.5' in to_readable_json(form)


@pytest.mark.parametrize(("count", "text"), [(0, "0 records"), (1, "1 record"), (2, "2 records")])
def test_a_noun_agrees_with_its_number(count: int, text: str) -> None:
    """One thing alone is in the singular."""
    assert counted(count, "record") == text


@given(ODD_TEXT)
def test_no_unprintable_character_remains(value: str) -> None:
    """The characters that are kept do. A text without unprintable characters is the same."""
    escaped = escape_unprintable(value, keep="\n")

    assert escaped.replace("\n", "").isprintable()
    assert escape_unprintable(escaped, keep="\n") == escaped
    assert (escaped == value) is value.replace("\n", "").isprintable()


@given(ODD_TEXT)
def test_readable_json_has_no_unprintable_character(value: str) -> None:
    """Unprintable characters are JSON escapes, so that the text means the same."""
    text = to_readable_json({"key": [value]})

    assert text.replace("\n", "").isprintable()
    assert json.loads(text) == {"key": [value]}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1970-01-01T00:00:00+00:00"), (1.9, "1970-01-01T00:00:01+00:00"), (1e20, "1e+20"), (float("nan"), "nan")],
)
def test_time_in_utc(seconds: float, text: str) -> None:
    """A number that is no time is written as it is."""
    assert utc(seconds) == text
