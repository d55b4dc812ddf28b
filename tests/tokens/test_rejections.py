"""Rejections: which exceptions reject a token, with which result, and how one becomes an exception of the other host."""

from __future__ import annotations

import subprocess
import sys

import datasette.tokens
import pytest

from heliograph import (
    TokenExpired,
    TokenInvalid,
    TokenRevoked,
)
from heliograph.tokens.rejections import combined_class, is_rejection, rejection_as, rejection_result
from threads import LIMIT_SECONDS
from tokens.every_rejection import REJECTIONS


@pytest.mark.parametrize(("rejection", "result"), REJECTIONS, ids=repr)
def test_rejections_of_both_hosts_and_their_results(rejection: Exception, result: str) -> None:
    """Each exception of the two families is a rejection, and has one result."""
    assert is_rejection(rejection)
    assert rejection_result(rejection) == result


@pytest.mark.parametrize(
    "error",
    [ValueError("Token has expired"), ValueError("Invalid token"), KeyError("a"), RuntimeError(), KeyboardInterrupt()],
    ids=repr,
)
def test_any_other_exception_is_no_rejection(error: BaseException) -> None:
    """The message does not matter, only the class."""
    assert not is_rejection(error)


def test_datasette_is_not_imported_to_recognize_a_rejection() -> None:
    """A program without Datasette does not pay for the import."""
    program = (
        "import sys\n"
        "from heliograph.errors import TokenRevoked\n"
        "from heliograph.tokens.rejections import is_rejection\n"
        "print(is_rejection(TokenRevoked()), is_rejection(ValueError()), 'datasette' in sys.modules)"
    )

    output = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=LIMIT_SECONDS
    ).stdout

    assert output.split() == ["True", "False", "False"]


def test_rejection_becomes_an_exception_of_the_other_host_as_well() -> None:
    """The copy is of both classes, with the message and the data of the original."""
    copy = rejection_as(TokenExpired(1234), datasette.tokens.TokenInvalid)

    assert isinstance(copy, TokenExpired)
    assert isinstance(copy, datasette.tokens.TokenInvalid)
    assert (str(copy), copy.message, copy.expired_at) == ("Token has expired", "Token has expired", 1234)
    assert type(copy).__name__ == "TokenExpired"


def test_rejection_of_the_right_class_stays_the_same_object() -> None:
    """A rejection that callers can catch already is not copied."""
    rejection = TokenRevoked()

    assert rejection_as(rejection, TokenInvalid) is rejection


def test_combined_class_is_made_once() -> None:
    """A class for each rejected token would be a leak: classes are freed late, and an attacker chooses how many there are."""
    first, second = (rejection_as(TokenRevoked(), datasette.tokens.TokenInvalid) for _ in range(2))

    assert type(first) is type(second) is combined_class(TokenRevoked, datasette.tokens.TokenInvalid)
