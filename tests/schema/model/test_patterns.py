"""Patterns mean the same in Python and in ECMA 262."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.schema.model.patterns import compile_pattern, ecma_pattern
from heliograph.schema.model.types import Format

PATTERNS = {
    r"^[A-Z]{2}$": r"^[A-Z]{2}$",
    r"\A\w+\Z": r"^[\w]+$",
    r"^(?P<year>\d{4})$": r"^([\d]{4})$",
    r"(?i)^ab[c-e]+$": "^[aA][bB][c-eCDE]+$",
    r"(?m)^x$": r"(?<![^\n])x(?![^\n])",
    r"(?s)^.$": r"^[\s\S]$",
    r"^.$": r"^[^\n]$",
    r"^\s+$": r"^[ \t\n\r\f\v]+$",
    r"^a\-b\ c\&$": "^a-b c&$",
    "^a{,3}$": "^a{0,3}$",
    "^[]a]+$": r"^[\]a]+$",
    "^(?x: a b )$": "^(?:ab)$",
    "^}{$": r"^\}\{$",
    "^(a|b|cd)*?$": "^(a|b|cd)*?$",
    r"^[\w.-]+@[\w.-]+$": r"^[\w.-]+@[\w.-]+$",
    r"^[^\W\d_]+$": r"^[^\W\d_]+$",
    r"^(?i:a)B(?#comment)$": "^(?:[aA])B$",
    r"\A[^-]\Z": r"^[^\-]$",
    r"(?i)^[^a]$": "^[^aA]$",
    r"^\S+$": r"^[\x00-\x08\x0e-\x1f!-\uffff" + "\U00010000-\U0010ffff]+$",
    r"\A[&~#]\Z": r"^[\x26\x7e\x23]$",
    r"^[\U0001F600-\U0001F64F]$": "^[😀-🙏]$",
    **{each.pattern: each.pattern for each in Format},
}
"""Patterns as an author writes them, and as ECMA 262 has them."""

ANY_PATTERNS = st.text(st.sampled_from("ab[]()-^$.*+?{}|\\dwsZ1,:=!P<> é"), max_size=8)
"""Texts with the syntax of patterns, most of which are none."""

TEXTS = [
    "",
    "a",
    "ab",
    "aB",
    "AB",
    "AB\n",
    "\n",
    "\r",
    "\u2028",
    "\u00a0",
    "\ufeff",
    "aaa",
    "]",
    "cd",
    "x",
    "x\ny",
    "٣",
    "2026",
]
TEXTS += [
    "é",
    "K",
    "ſ",
    "İ",
    "😀",
    "}{",
    "a-b c&",
    "a@b",
    "a@b\n",
    "2026-01-02",
    "2026-01-02\n",
    "03:04:05",
    "٠٣:04:05",
    "1.5",
]


@pytest.mark.parametrize(("pattern", "written"), PATTERNS.items())
def test_pattern_is_written_for_ecma(pattern: str, written: str) -> None:
    """A pattern without a difference stays as it is."""
    assert ecma_pattern(pattern) == written


@pytest.mark.parametrize("pattern", [r"^(a)?b\1$", "^(a)?(?(1)b|c)$", "(?u)^a$"])
def test_what_ecma_does_not_have_is_not_written(pattern: str) -> None:
    """The pattern is still checked in Python."""
    assert ecma_pattern(pattern) is None
    assert compile_pattern(pattern).search("") is None


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node here to ask")
def test_node_matches_the_same_texts() -> None:
    """Node runs the patterns with the flag `u`, as validators of JSON Schema do."""
    program = (
        "const [patterns, texts] = JSON.parse(require('fs').readFileSync(0));"
        "console.log(JSON.stringify(patterns.map(p => texts.map(t => new RegExp(p, 'u').test(t)))))"
    )
    given_patterns = [list(PATTERNS.values()), TEXTS]
    result = subprocess.run(
        ["node", "-e", program],
        input=json.dumps(given_patterns),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    found = json.loads(result.stdout)
    for pattern, answers in zip(PATTERNS, found):
        assert answers == [bool(compile_pattern(pattern).search(text)) for text in TEXTS], pattern


@pytest.mark.parametrize(
    ("pattern", "text"), [(r"^\d$", "٣"), (r"^\w$", "é"), ("^a$", "a\n"), ("(?i)^k$", "\u212a"), (r"^\s$", "\u00a0")]
)
def test_python_has_the_meaning_of_ecma(pattern: str, text: str) -> None:
    """ECMA's meaning accepts none of these texts, although Python alone accepts each."""
    assert re.search(pattern, text)
    assert not compile_pattern(pattern).search(text)


@pytest.mark.filterwarnings("ignore:Possible (nested set|set):FutureWarning")  # such as "[[" and "[a--"
@given(ANY_PATTERNS, st.text(max_size=4))
def test_every_valid_pattern_is_compiled(pattern: str, text: str) -> None:
    """The pattern for ECMA 262 matches the same texts, apart from the end of the text."""
    try:
        re.compile(pattern)
    except re.error:
        return
    written = ecma_pattern(pattern)
    assert (
        written is None
        or "$" in written
        or (bool(re.search(written, text, re.ASCII)) is bool(compile_pattern(pattern).search(text)))
    )
