"""Read settings by their names: from variables of the environment, and from keys of a configuration."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE

PREFIX: Final = "HELIOGRAPH_"

Fields: TypeAlias = "Mapping[str, dataclasses.Field[Any]]"
"""The fields of `Settings`, by name."""

logger: Final = SafeLogger(SCOPE)


def variable_name(setting: str) -> str:
    """Return the name of a setting's environment variable."""
    return PREFIX + setting.upper()


def given_in(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the values of the variables with heliograph's prefix, by setting. They may have names that are not those of settings.

    A variable with an empty value counts as not set, as in OpenTelemetry's specification. ``HELIOGRAPH_ACTOR`` is an exception,
    because an empty list of keys has a meaning.

    >>> given_in({"HELIOGRAPH_ACTOR": "", "HELIOGRAPH_OUTBOX": "", "HELIOGRAPH_NAMESPACE": "shop", "HOME": "/root"})
    {'actor': '', 'namespace': 'shop'}
    """
    return {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(PREFIX) and (value or name == variable_name("actor"))
    }


def parse_each(
    fields: Fields, values: Mapping[str, object], label: Callable[[str], str], problems: list[str]
) -> dict[str, object]:
    """Return the parsed values, and append a message to ``problems`` for each that is not allowed."""
    parsed: dict[str, object] = {}
    for name, value in values.items():
        metadata = fields[name].metadata
        try:
            parsed[name] = metadata["parse"](value)
        except ValueError as error:
            quoted = "its value" if metadata["secret"] else repr(value)
            problems.append(f"{label(name)}: {quoted} {error}")
    return parsed


def problem_of_key(fields: Fields, key: str) -> str | None:
    """Return a message if Datasette's configuration must not have this key, else `None`."""
    if key not in fields:
        similar = difflib.get_close_matches(str(key), fields, n=1)
        hint = f"did you mean {similar[0]!r}?" if similar else f"the settings are: {', '.join(fields)}"
        return f"plugins.heliograph.{key}: there is no such setting; {hint}"
    own = fields[key].metadata["in_datasette"]
    return f"plugins.heliograph.{key}: remove it; Datasette has its own: {own}" if own else None


def warn_of_unknown_variables(fields: Fields, given: Mapping[str, str]) -> None:
    """Log a warning for each name that is not a setting, but similar to one."""
    for name in given:
        similar = difflib.get_close_matches(name, fields, n=1)
        if name not in fields and similar:
            logger.warning("%s is not a setting; did you mean %s?", variable_name(name), variable_name(similar[0]))
