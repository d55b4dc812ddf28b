"""Tokens are found in files of any form."""

from __future__ import annotations

import io
import json

import pytest

from heliograph.cli import token_leaks
from heliograph.cli.token_leaks import tokens_in
from heliograph.errors import FileFormatError
from heliograph.tokens.stored.token_text import new_id, new_token

FIRST, SECOND = new_token(new_id()), new_token(new_id())
PAYLOAD = [
    {"token": FIRST, "type": "heliograph_token", "url": "https://example.com/a", "source": "content"},
    {"token": SECOND, "type": "heliograph_token", "url": "https://example.com/b", "source": "commit"},
]


@pytest.mark.parametrize(
    "content",
    [
        f"{FIRST}\n{SECOND}\n".encode(),
        f"{FIRST}\r\n\r\n{SECOND}\r\n{FIRST}".encode(),
        f"  Authorization: Bearer {FIRST}, é {SECOND}é".encode(),
        f"\ufeff{FIRST}\n{SECOND}".encode(),
        f"{FIRST}\n{SECOND}".encode("utf-16"),
        b"\xc3\x28" + f"{FIRST}{SECOND}".encode(),
        json.dumps(PAYLOAD).encode(),
        json.dumps(PAYLOAD, indent=2).encode(),
        "\n".join(map(json.dumps, PAYLOAD)).encode(),
    ],
    ids=[
        *("lines", "windows-lines", "log", "byte-order-mark", "utf-16", "joined"),
        *("payload", "indented", "json-lines"),
    ],
)
def test_tokens_are_found_each_once_in_order(content: bytes) -> None:
    """Other text around the tokens, and its encoding, do not matter."""
    assert tokens_in(io.BytesIO(content)) == [FIRST, SECOND]


@pytest.mark.parametrize("size", [1, 66, 67, 68, 100])
def test_token_on_the_border_of_two_parts_is_found(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """A file is read in parts, of any size."""
    monkeypatch.setattr(token_leaks, "CHUNK_BYTES", size)

    assert tokens_in(io.BytesIO(f"x{FIRST}{'y' * 50}\n{SECOND}z".encode())) == [FIRST, SECOND]


@pytest.mark.parametrize("text", ["", "hgtok_", FIRST[:-1], FIRST[:-1] + "~", FIRST[:20] + "0000" + FIRST[24:], "[{"])
def test_other_texts_are_no_tokens(text: str) -> None:
    """A text of the right form is a token only if its checksum is right."""
    assert tokens_in(io.BytesIO(text.encode())) == []


def test_number_of_tokens_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody can write well-formed texts, so a file with too many is an error."""
    monkeypatch.setattr(token_leaks, "MAX_TOKENS", 1)

    assert tokens_in(io.BytesIO(f"{FIRST}\n{FIRST}".encode())) == [FIRST]
    with pytest.raises(FileFormatError, match="more than 1 tokens"):
        tokens_in(io.BytesIO(f"{FIRST}\n{SECOND}".encode()))
