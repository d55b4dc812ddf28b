"""Errors form one tree, say what is to be done, and carry their data."""

from __future__ import annotations

import inspect

import pytest

from heliograph import errors

ALL = [
    cls
    for cls in vars(errors).values()
    if inspect.isclass(cls) and issubclass(cls, Exception) and cls.__name__[0] != "_"
]


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_every_error_is_in_the_tree_and_in_its_drawing(cls: type[Exception]) -> None:
    """One base, and every class stands in the module's docstring."""
    assert issubclass(cls, errors.HeliographError)
    assert f"{cls.__name__} " in f"{errors.__doc__} " or f"{cls.__name__}\n" in str(errors.__doc__)


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        (errors.SchemaError, TypeError),
        (errors.UnregisteredEvent, KeyError),
        (errors.SettingsError, ValueError),
        (errors.PluginError, RuntimeError),
        (errors.DatabaseNotFound, KeyError),
        (errors.NoTokenHandler, RuntimeError),
        (errors.TokenHandlerNotFound, ValueError),
        (errors.TokensDisabled, ValueError),
    ],
)
def test_errors_are_the_builtin_ones_that_datasette_raises(cls: type[Exception], builtin: type[Exception]) -> None:
    """Code that was written for Datasette catches ours by the builtin class."""
    assert issubclass(cls, builtin)


def test_key_errors_read_as_sentences() -> None:
    """A `KeyError` would show the repr of its message."""
    assert str(errors.UnregisteredEvent(int)).startswith("builtins.int is not registered: return it from")


def test_database_not_found_names_those_that_there_are() -> None:
    """The message has the name, the known names, and the mend; the name is also an attribute."""
    error = errors.DatabaseNotFound("evnets", ["other", "events"])

    assert error.name == "evnets"
    assert str(error) == (
        "the host has no database 'evnets' (it has: events, other); "
        "add it: Host(databases={'evnets': 'path/to/file.db'})"
    )
    assert "(it has: none)" in str(errors.DatabaseNotFound(None, []))


def test_duplicate_event_name_names_both_classes() -> None:
    """Both classes, and the name, are in the message and on the error."""
    error = errors.DuplicateEventName(int, str, "app.count")

    assert (error.event_class, error.registered_class, error.event_name) == (int, str, "app.count")
    assert "builtins.int" in str(error)
    assert "builtins.str" in str(error)
    assert "app.count" in str(error)


def test_settings_error_lists_every_problem() -> None:
    """One line for each problem."""
    error = errors.SettingsError(["one", "two"])

    assert error.problems == ("one", "two")
    assert str(error).splitlines()[1:] == ["- one", "- two"]


def test_token_handler_not_found_names_the_available_ones() -> None:
    """The names are on the error, in call order."""
    error = errors.TokenHandlerNotFound("databse", ["database", "signed"])

    assert (error.name, error.available) == ("databse", ("database", "signed"))
    assert str(error) == "Token handler 'databse' not found. Available handlers: ['database', 'signed']"


def test_token_errors_have_a_message_to_show() -> None:
    """`message` is what may be shown, as with Datasette's `TokenInvalid`."""
    assert errors.TokenExpired(7).message == "Token has expired"
    assert errors.TokenExpired(7).expired_at == 7
    assert [cls().message for cls in (errors.TokenInvalid, errors.TokenMalformed, errors.TokenSignatureInvalid)] == [
        "Invalid token",
        "Invalid token: malformed payload",
        "Invalid token signature",
    ]


def test_qualified_name_of_a_class_and_of_a_thing() -> None:
    """A thing is named by its class."""
    assert errors.qualified_name(int) == errors.qualified_name(7) == "builtins.int"
