"""Text for the wire and for people: what UTF-8 can carry, one line, JSON."""

from __future__ import annotations

import json
from typing import Final

import msgspec

MAX_BODY: Final = 256


def escape_surrogates(value: str) -> str:
    """The text, in what UTF-8 can carry: each lone surrogate is replaced by its escape."""
    if value.isascii():
        return value
    return value.encode(errors="backslashreplace").decode()


def display(value: str) -> str:
    """The value as one short line: control characters escaped, cut after 256 characters."""
    if len(value) > MAX_BODY:
        value = value[:MAX_BODY] + "…"
    if value.isprintable():
        return value
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in value)


def to_json(form: object) -> str:
    """A form as compact JSON text."""
    return _ENCODER.encode(form).decode()


def to_readable_json(form: object) -> str:
    """A form as JSON for people, over several lines."""
    return json.dumps(form, indent=2, ensure_ascii=False)


_ENCODER: Final = msgspec.json.Encoder(enc_hook=str)  # what is no scalar by its exact class is a `Protected`
