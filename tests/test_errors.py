"""The exceptions form one tree, name the fix, and carry their data as attributes."""

from __future__ import annotations

import inspect

import pytest

from heliograph import Event, errors

ALL = [
    cls
    for cls in vars(errors).values()
    if inspect.isclass(cls) and issubclass(cls, Exception) and cls.__name__[0] != "_"
]


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_every_exception_is_in_the_tree_and_in_its_drawing(cls: type[Exception]) -> None:
    """Every exception is derived from `HeliographError`, and is in the tree that the module's docstring draws."""
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
def test_exceptions_are_built_in_ones_as_well(cls: type[Exception], builtin: type[Exception]) -> None:
    """Code that was written for Datasette catches them by the built-in class."""
    assert issubclass(cls, builtin)


def test_text_of_a_key_error_is_its_message() -> None:
    """`KeyError` itself would show the repr of the message."""
    assert str(errors.UnregisteredEvent(Event)).startswith("heliograph.events.Event is not registered: return it from")


def test_database_not_found_lists_the_known_databases() -> None:
    """The message has the name, the known names and the fix. The name is an attribute too."""
    error = errors.DatabaseNotFound("evnets", ["other", "events"])

    assert error.name == "evnets"
    assert str(error) == (
        "the host has no database 'evnets' (it has: events, other); "
        "add it: Host(databases={'evnets': 'path/to/file.db'})"
    )
    assert "(it has: none)" in str(errors.DatabaseNotFound(None, []))


def test_duplicate_event_name_names_both_classes() -> None:
    """The message and the attributes have both classes and the event name."""
    error = errors.DuplicateEventName(int, str, "app.count")

    assert (error.event_class, error.registered_class, error.event_name) == (int, str, "app.count")
    assert "builtins.int" in str(error)
    assert "builtins.str" in str(error)
    assert "app.count" in str(error)


def test_settings_error_lists_every_problem() -> None:
    """The message has one line for each problem."""
    error = errors.SettingsError(["one", "two"])

    assert error.problems == ("one", "two")
    assert str(error).splitlines()[1:] == ["- one", "- two"]


def test_token_handler_not_found_lists_the_registered_handlers() -> None:
    """The registered handlers are listed in call order."""
    error = errors.TokenHandlerNotFound("databse", ["database", "signed"])

    assert (error.name, error.available) == ("databse", ("database", "signed"))
    assert str(error) == "Token handler 'databse' not found. Available handlers: ['database', 'signed']"


def test_token_rejections_have_a_message_to_show() -> None:
    """`message` may be shown to the user, as with Datasette's `TokenInvalid`."""
    assert errors.TokenExpired(7).message == "Token has expired"
    assert errors.TokenExpired(7).expired_at == 7
    assert [cls().message for cls in (errors.TokenInvalid, errors.TokenMalformed, errors.TokenSignatureInvalid)] == [
        "Invalid token",
        "Invalid token: malformed payload",
        "Invalid token signature",
    ]
