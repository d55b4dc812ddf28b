"""Tokens have a prefix, an id, a secret and a checksum, and nothing else is taken for one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.tokens.stored import token_text

GOOD = "hgtok_" + "0" * 12 + "A" * 43 + "3KZXk7"


def test_checksum_is_crc_32_in_base_62() -> None:
    """A token that was made before has the same checksum for ever."""
    assert token_text.checksum(GOOD[:-6]) == "3KZXk7"
    assert token_text.is_well_formed(GOOD)


@pytest.mark.parametrize("body", ["", "hgtok_"])
def test_checksum_has_six_characters(body: str) -> None:
    """Zeros are added before a small number."""
    assert re.fullmatch("[0-9A-Za-z]{6}", token_text.checksum(body))
    assert token_text.checksum("") == "000000"


def test_new_tokens_differ_and_are_well_formed() -> None:
    """A token contains the id that it was made with, and a secret of its own."""
    token_id = token_text.new_id()
    tokens = {token_text.new_token(token_id) for _ in range(100)}

    assert len(tokens) == 100
    assert all(token_text.is_well_formed(token) and token[6:18] == token_id for token in tokens)
    assert len({token_text.new_id() for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "token",
    [
        "",
        "hgtok_",
        GOOD[:-1],
        GOOD + "0",
        GOOD + "\n",
        GOOD[:-1] + "8",
        GOOD.replace("hgtok", "HGTOK"),
        GOOD.replace("A", "Ａ"),
        GOOD.replace("0", "٠"),
        GOOD.replace("A", "\0"),
        " " + GOOD,
        "hgtok_" + "0" * 5000,
    ],
)
def test_other_texts_are_not_well_formed(token: str) -> None:
    """A line break at the end, and digits and letters of other scripts, are recognized."""
    assert not token_text.is_well_formed(token)


@given(position=st.integers(0, 66), character=st.characters())
def test_change_of_one_character_is_recognized(position: int, character: str) -> None:
    """The checksum finds any other character at any place."""
    changed = GOOD[:position] + character + GOOD[position + 1 :]

    assert token_text.is_well_formed(changed) == (changed == GOOD)


def test_hash_is_of_the_whole_token() -> None:
    """Two tokens with one id have different hashes, of 32 bytes."""
    first, second = token_text.new_token("0" * 12), token_text.new_token("0" * 12)

    assert len(token_text.hash_of(first)) == 32
    assert token_text.hash_of(first) != token_text.hash_of(second)
