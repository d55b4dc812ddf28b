"""A pattern leads to texts that it matches."""

from __future__ import annotations

import re
import sys

import pytest
from hypothesis import given

from heliograph.schema.export.matching_texts import matching_texts
from heliograph.schema.model.patterns import compile_pattern
from schema.model.test_patterns import ANY_PATTERNS, PATTERNS


@pytest.mark.parametrize("pattern", [each for each in PATTERNS if each])
def test_a_text_is_made_for_a_pattern(pattern: str) -> None:
    """One of the first texts that are tried matches."""
    assert any(compile_pattern(pattern).search(text) for text in matching_texts(pattern))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^(a)\1$", "aa"),
        pytest.param(
            "^(?>ab)$", "ab", marks=pytest.mark.skipif(sys.version_info < (3, 11), reason="not in Python 3.10")
        ),
    ],
)
def test_a_text_is_made_for_a_pattern_that_ecma_does_not_have(pattern: str, text: str) -> None:
    """A reference repeats its group, and an atomic group is an ordinary one."""
    assert text in matching_texts(pattern)


def test_invalid_pattern_has_no_text() -> None:
    """Patterns of pydantic are in Rust's syntax, and may be none in Python."""
    assert list(matching_texts(r"\p{L}(")) == []


@pytest.mark.filterwarnings("ignore:Possible (nested set|set):FutureWarning")  # such as "[[" and "[a--"
@given(ANY_PATTERNS)
def test_every_valid_pattern_leads_to_texts(pattern: str) -> None:
    """They need not match, and no pattern raises an error."""
    try:
        re.compile(pattern)
    except re.error:
        return
    assert list(matching_texts(pattern))
