"""Fields of text: any value as UTF-8."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.delivery.encoding.text import text_field, utf8


class Shouting(str):
    """A text whose own code must not run: it is not the text that the program compares and stores."""

    __slots__ = ()

    def encode(self, *_: Any, **__: Any) -> bytes:
        return b"SHOUTED"

    def __str__(self) -> str:
        return "SHOUTED"


class Pretended:
    """An object that claims to be a text."""

    @property
    def __class__(self) -> Any:
        return str


@given(st.text(st.characters(categories=None), max_size=20))
def test_text_is_utf8_with_escapes_for_lone_surrogates(value: str) -> None:
    assert utf8(value) == value.encode(errors="backslashreplace")
    assert text_field(b"\x0a", value) == (bytes((10, len(utf8(value)))) + utf8(value) if value else b"")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("text", b"text"),
        (Shouting("text"), b"text"),
        (Shouting("\udc80"), b"\\udc80"),
        ("žluť".encode(), "žluť".encode()),
        (b"\xff", b"/w=="),
        (17, b"17"),
        (True, b"true"),
        (1.5, b"1.5"),
        (["a", 1], b'["a",1]'),
    ],
)
def test_any_value_has_a_text(value: object, text: bytes) -> None:
    """A text's own, the UTF-8 in bytes, or the form that the value has elsewhere, as JSON if it is not a text."""
    assert text_field(b"\x12", value) == b"\x12" + bytes([len(text)]) + text


@pytest.mark.parametrize("value", ["", None, b"", Shouting("")])
def test_empty_text_has_no_field(value: object) -> None:
    assert text_field(b"\x12", value) == b""


def test_object_that_claims_to_be_a_text_has_its_form() -> None:
    assert b"Pretended" in text_field(b"\x12", Pretended())
