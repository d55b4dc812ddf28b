"""Settings are read by name, and a name that is almost one of them is reported."""

from __future__ import annotations

import dataclasses

import pytest

from heliograph.settings import variable_name
from heliograph.settings.environment import given_in, parse_each, problem_of_key, warn_of_unknown_variables
from heliograph.settings.fields import setting


def parse_even(value: object) -> object:
    if value == "odd":
        raise ValueError("must be even")
    return value


@dataclasses.dataclass
class Numbers:
    count: object = setting(2, parse_even)
    password: object = setting(2, parse_even, in_datasette="the option `--password`", secret=True)


NUMBERS = {each.name: each for each in dataclasses.fields(Numbers)}


def test_every_field_is_a_variable() -> None:
    """The name of the variable is that of the field."""
    assert variable_name("token_ttl") == "HELIOGRAPH_TOKEN_TTL"


def test_variable_without_a_value_is_not_set() -> None:
    """The actor's keys are an exception: an empty list of them has a meaning. Variables of others are left out."""
    environ = {"HELIOGRAPH_ACTOR": "", "HELIOGRAPH_CONTEXT": "", "HELIOGRAPH_OUTBOX": "/var/box", "OUTBOX": "x"}

    assert given_in(environ) == {"actor": "", "outbox": "/var/box"}


def test_each_value_is_parsed_and_each_problem_is_noted() -> None:
    """The message has the label of the setting and its value, unless it is a secret."""
    problems: list[str] = []
    parsed = parse_each(NUMBERS, {"count": "even"}, variable_name, problems)
    assert (parsed, problems) == ({"count": "even"}, [])

    assert parse_each(NUMBERS, {"count": "odd", "password": "odd"}, variable_name, problems) == {}
    assert problems == ["HELIOGRAPH_COUNT: 'odd' must be even", "HELIOGRAPH_PASSWORD: its value must be even"]


def test_key_that_is_no_setting_is_a_problem() -> None:
    """The message suggests a similar key, lists all keys, or names Datasette's own setting."""
    assert problem_of_key(NUMBERS, "count") is None
    assert problem_of_key(NUMBERS, "cout") == "plugins.heliograph.cout: there is no such setting; did you mean 'count'?"
    assert problem_of_key(NUMBERS, "zzz") == (
        "plugins.heliograph.zzz: there is no such setting; the settings are: count, password"
    )
    assert problem_of_key(NUMBERS, "password") == (
        "plugins.heliograph.password: remove it; Datasette has its own: the option `--password`"
    )


def test_only_names_that_are_similar_to_a_setting_are_reported(warnings: pytest.LogCaptureFixture) -> None:
    """A name that is not similar may belong to another program."""
    warn_of_unknown_variables(NUMBERS, {"count": "1", "cout": "1", "zzz": "1"})

    assert [record.getMessage() for record in warnings.records] == [
        "HELIOGRAPH_COUT is not a setting; did you mean HELIOGRAPH_COUNT?"
    ]
