"""Parse and check the value of a setting.

The same parser is used for the environment, Datasette's configuration and arguments in code. Its argument may have any type: text from a
variable, a value from YAML, or an object in code. It returns the setting's value, or raises `ValueError` with the end of a sentence that
begins with the setting and the value: "HELIOGRAPH_TOKEN_TTL: '0' must be a whole number above 0".
"""

from __future__ import annotations

import enum
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from heliograph.events import Privacy
from heliograph.semconv import EVENT_NAME_PATTERN, REQUEST_ATTRIBUTES, SCOPE
from heliograph.settings.choices import DATABASE, DIGESTS, SIGNED, Signal

_MAX_CACHE_SECONDS: Final = 60
_MIN_OUTBOX_BYTES: Final = 1024 * 1024
_MAX_POSITIVE: Final = 2**31 - 1
"""The largest number that most settings accept: the largest signed 32-bit integer."""
_MAX_DIGITS: Final = 18
"""The longest text that is converted to a number: converting thousands of digits is slow, and an error in newer Pythons."""


def parse_list(value: object) -> tuple[str, ...]:
    """Return the items of a comma-separated text, or of an iterable of texts. Empty items are left out."""
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, Iterable) or not all(isinstance(word, str) for word in words):
        raise ValueError("must be a comma-separated list")
    return tuple(word.strip() for word in words if word.strip())


def parse_signals(value: object) -> frozenset[Signal]:
    """Return the signals with these names."""
    names = [signal.value for signal in Signal]
    words = parse_list(value)
    if not words or not set(words) <= set(names):
        raise ValueError(f"must be one or more of {', '.join(names)}, separated by commas")
    return frozenset(map(Signal, words))


def parser_of(kind: type[enum.Enum]) -> Callable[[object], object]:
    """Return a parser for the values of an enum, in any case."""

    def parse(value: object) -> object:
        try:
            return kind(value.strip().lower() if isinstance(value, str) else value)
        except ValueError:
            raise ValueError(f"must be one of {', '.join(str(member.value) for member in kind)}") from None

    return parse


def parse_actor_keys(value: object) -> tuple[str, ...]:
    """Return keys of an actor. Each may have a sign before it, or a colon and a privacy after it."""
    words = parse_list(value)
    levels = [level.value for level in Privacy]
    for word in words:
        key, colon, level = word.partition(":")
        if colon and (level not in levels or key.startswith("-")):
            raise ValueError(f"must not contain {word!r}; write a key, a colon and one of {', '.join(levels)}")
    return words


def parse_context(value: object) -> tuple[str, ...]:
    """Return names of attributes of requests."""
    words = parse_list(value)
    for word in words:
        if word not in REQUEST_ATTRIBUTES:
            raise ValueError(f"must not contain {word!r}; the names are {', '.join(REQUEST_ATTRIBUTES)}")
    return words


def parse_opt_in(value: object) -> tuple[str, ...]:
    """Return names of attributes, or `*` for all."""
    return _names_without_patterns(value, every="*")


def parse_opt_out(value: object) -> tuple[str, ...]:
    """Return names of attributes."""
    return _names_without_patterns(value)


def _names_without_patterns(value: object, every: str = "") -> tuple[str, ...]:
    words = parse_list(value)
    for word in words:
        # No attribute has such a name, so it would have no effect.
        if word.endswith("*") and word != every:
            raise ValueError(f"must not contain {word!r}, which is a pattern; write the names of attributes")
    return words


def parse_text(value: object) -> str:
    """Return a text without the spaces around it. An empty one is not allowed."""
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise ValueError("must be text")


def parse_path(value: object) -> Path:
    """Return a path, with `~` replaced by the home directory."""
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise ValueError("must be a path")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        # It is `~` or `~user`, and there is no such home directory.
        raise ValueError("must be a path without `~`, because that user has no home directory") from None


def parse_namespace(value: object) -> str:
    """Return the first part of event names."""
    if isinstance(value, str) and EVENT_NAME_PATTERN.fullmatch(value) and value.split(".")[0] != SCOPE:
        return value
    raise ValueError(
        "must be lower-case words that begin with a letter, separated by `.` or `_`, and must not begin with `heliograph`"
    )


def parse_token_handlers(value: object) -> tuple[str, ...]:
    """Return the names of built-in token handlers, in order."""
    words = parse_list(value)
    if not words or not set(words) <= {SIGNED, DATABASE} or len(set(words)) != len(words):
        raise ValueError(f"must be {SIGNED}, {DATABASE}, or both, separated by a comma")
    return words


def parse_digests(value: object) -> tuple[str, ...]:
    """Return the names of hash functions, in order."""
    words = parse_list(value)
    if not words or not set(words) <= DIGESTS.keys() or len(set(words)) != len(words):
        raise ValueError(f"must be one or several of {', '.join(DIGESTS)}, separated by commas")
    return words


def parse_cache_seconds(value: object) -> int:
    """Return the seconds for which a token is not looked up again."""
    number = _whole_number(value)
    if number is None or not 0 <= number <= _MAX_CACHE_SECONDS:
        raise ValueError(f"must be a whole number of seconds, {_MAX_CACHE_SECONDS} at most")
    return number


def parse_count(value: object) -> int:
    """Return a whole number, 0 or above."""
    number = _whole_number(value)
    if number is None or not 0 <= number <= _MAX_POSITIVE:
        raise ValueError(f"must be a whole number, 0 or above, and {_MAX_POSITIVE} at most")
    return number


def parse_flag(value: object) -> bool:
    """Return True or False."""
    known = {True: True, False: False, "true": True, "1": True, "false": False, "0": False}
    word = value.strip().lower() if isinstance(value, str) else value
    # Without the check of the type, the numbers 0 and 1 would be found.
    if isinstance(word, (str, bool)) and word in known:
        return known[word]
    raise ValueError("must be `true` or `false`")


def parse_positive(value: object) -> int:
    """Return a whole number above 0."""
    number = _whole_number(value)
    if number is None or not 0 < number <= _MAX_POSITIVE:
        raise ValueError(f"must be a whole number above 0, and {_MAX_POSITIVE} at most")
    return number


def parse_outbox_bytes(value: object) -> int:
    """Return the size of an outbox."""
    number = _whole_number(value)
    if number is None or number < _MIN_OUTBOX_BYTES:
        raise ValueError(f"must be a whole number of bytes, {_MIN_OUTBOX_BYTES} at least")
    return number


def _whole_number(value: object) -> int | None:
    if isinstance(value, str):
        return int(value) if len(value) <= _MAX_DIGITS and value.strip().isdecimal() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def parse_plugin_config(value: object) -> Mapping[str, Mapping[str, object]]:
    """Return the configuration of plugins, which may be JSON."""
    try:
        config = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError) as error:  # RecursionError: thousands of nested brackets
        raise ValueError(f"must be JSON ({error})") from None
    if not isinstance(config, Mapping) or not all(isinstance(each, Mapping) for each in config.values()):
        raise ValueError('must be a JSON object of objects, such as {"my-plugin": {"key": "value"}}')
    return config
