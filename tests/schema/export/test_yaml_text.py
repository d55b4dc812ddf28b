"""YAML that readers of version 1.1 and of version 1.2 understand in the same way."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from heliograph.schema.export.yaml_text import dumps


@pytest.mark.parametrize(
    "text",
    [
        "1e3",
        "0o17",
        "0x1F",
        "1_000",
        "12:30:00",
        "yes",
        "No",
        "ON",
        "y",
        "n",
        "~",
        "null",
        "",
        "-",
        ".5",
        "+1",
        ".inf",
        "nan",
    ],
)
def test_text_that_looks_like_another_value_is_quoted(text: str) -> None:
    """Readers of YAML 1.1 and of YAML 1.2 read the text."""
    assert dumps({"x": [text]}) in {f"x:\n- '{text}'\n", f'x:\n- "{text}"\n'}


@given(st.text(), st.text())
def test_text_is_read_back_and_printable(one: str, two: str) -> None:
    """Control characters, direction overrides and other line ends are escapes."""
    written = dumps({"x": one, "y": [two, f"{one}\u202e\x1b{two}\u2028"]})

    assert written.replace("\n", "").isprintable()
    if not any(0xD800 <= ord(char) <= 0xDFFF for char in one + two):
        assert yaml.safe_load(written) == {"x": one, "y": [two, f"{one}\u202e\x1b{two}\u2028"]}


@pytest.mark.parametrize("text", ["a\u200eb", "\u00a0", "\u2028", "\ue000", "\U000e0041 x"])
def test_unprintable_characters_are_escaped(text: str) -> None:
    """YAML would permit them as they are, but an editor does not show them."""
    written = dumps({"a": [text]})

    assert written.replace("\n", "").isprintable()
    assert yaml.safe_load(written) == {"a": [text]}
