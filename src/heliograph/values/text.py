"""Escape, shorten and count in text, and write times and JSON."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Final

import msgspec

MAX_BODY: Final = 256
"""The largest number of characters of a display string, without the ``…`` that marks a cut."""


def escape_surrogates(value: str) -> str:
    r"""Return the text with each lone surrogate as its escape, such as ``\udc80``, because UTF-8 cannot carry one."""
    if value.isascii() or value.isprintable():  # a surrogate is not printable
        return value
    return value.encode(errors="backslashreplace").decode()


def has_no_surrogates(value: str) -> bool:
    """Return True if UTF-8 can carry a text."""
    return value.isascii() or value.isprintable() or escape_surrogates(value) == value


def escape_unprintable(value: str, *, keep: str = "") -> str:
    r"""Return the text with each character that is not printable as its escape, such as ``\x1b``.

    These are control characters, line ends, characters without width, those that change the direction of a text, lone
    surrogates, and spaces other than ``" "``. On a terminal or a page, they could hide a text or imitate another one.

    Args:
        value: The text.
        keep: Characters that are not escaped.

    >>> escape_unprintable("\x1b[2J \u202etxt.exe\n", keep="\n")
    '\\x1b[2J \\u202etxt.exe\n'
    """
    if value.isprintable():
        return value
    return "".join(char if char.isprintable() or char in keep else ascii(char)[1:-1] for char in value)


def display(value: str) -> str:
    """Return the value as one short line: cut after 256 characters, with unprintable characters escaped.

    Escapes may make the line longer than that. The cut comes first, so that a long value costs no more than a short one.
    """
    if len(value) > MAX_BODY:
        value = value[:MAX_BODY] + "…"
    # Most bodies are printable, and a call costs time for each event.
    return value if value.isprintable() else escape_unprintable(value)


def counted(count: int, noun: str) -> str:
    """Return a number with its noun in the singular or plural: ``1 record``, ``2 records``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def to_json(form: object) -> str:
    """Return a form as compact JSON text."""
    return json_of(form).decode()


def to_readable_json(form: object) -> str:
    """Return a form as indented JSON text, for people. Characters that are not printable are JSON escapes."""
    text = json.dumps(form, indent=2, ensure_ascii=False)
    if text.replace("\n", "").isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)


# msgspec knows only exact classes of scalars; `Protected`, a subclass of `str`, comes to the hook.
json_of: Final = msgspec.json.Encoder(enc_hook=str).encode
"""Return a form as compact JSON, in UTF-8. As the key of a sort, it gives the same order as the JSON text."""


def utc(seconds: float) -> str:
    """Return a time, in seconds since the Unix epoch, in the form of ISO 8601, in UTC. Any number is accepted, and gives a text.

    >>> utc(0)
    '1970-01-01T00:00:00+00:00'
    """
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")
    except (OverflowError, OSError, ValueError):
        # The value is beyond the years 1 to 9999.
        return str(seconds)
