"""Arguments of public functions: a wrong one is an error that names it, says what it must be, and does not show its value."""

from __future__ import annotations

from pathlib import Path

import pytest

from heliograph import Event, OutboxFullPolicy
from heliograph.arguments import check_argument, wrong_argument


@pytest.mark.parametrize(
    ("value", "types"),
    [
        ("x", str),
        (Path("x"), (str, Path)),
        (1, int),
        (True, bool),
        (False, (bool, str)),
        (None, (str, type(None))),
        (OutboxFullPolicy.REJECT, OutboxFullPolicy),
        (OutboxFullPolicy.REJECT, str),
    ],
)
def test_argument_of_the_right_type_passes(value: object, types: type | tuple[type, ...]) -> None:
    check_argument("name", value, types, "right")


@pytest.mark.parametrize(
    ("value", "types", "kind"),
    [
        (1, str, "an object of builtins.int"),
        (True, int, "an object of builtins.bool"),
        (1, bool, "an object of builtins.int"),
        (None, str, "None"),
        (Event, Event, "the class heliograph.events.Event"),
        ("reject", OutboxFullPolicy, "an object of builtins.str"),
        ("s3cr3t", (int, Path), "an object of builtins.str"),
    ],
)
def test_argument_of_a_wrong_type_is_an_error(value: object, types: type | tuple[type, ...], kind: str) -> None:
    with pytest.raises(TypeError) as caught:
        check_argument("name", value, types, "right")
    assert str(caught.value) == f"the argument `name` must be right, not {kind}"
    assert str(wrong_argument("name", value, "right")) == str(caught.value)
