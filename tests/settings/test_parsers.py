"""Parsers accept text, values from YAML and objects in code, and an error is the end of a sentence that says what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from heliograph import OutboxFullPolicy, Signal
from heliograph.semconv import REQUEST_ATTRIBUTES
from heliograph.settings import parsers
from heliograph.settings.parsers import parser_of

NUMBER = "must be a whole number above 0, and 2147483647 at most"


@pytest.mark.parametrize(
    ("parse", "value", "parsed"),
    [
        (parsers.parse_list, " a, ,b ,", ("a", "b")),
        (parsers.parse_list, ["a", " b", ""], ("a", "b")),
        (parsers.parse_signals, "log,span", {Signal.LOG, Signal.SPAN}),
        (parsers.parse_signals, [Signal.LOG], {Signal.LOG}),
        (parser_of(OutboxFullPolicy), " Drop_Oldest ", OutboxFullPolicy.DROP_OLDEST),
        (parser_of(OutboxFullPolicy), OutboxFullPolicy.REJECT, OutboxFullPolicy.REJECT),
        (parsers.parse_actor_keys, "id, name:hash,-email,email:plain", ("id", "name:hash", "-email", "email:plain")),
        (parsers.parse_actor_keys, "", ()),
        (parsers.parse_context, ",".join(REQUEST_ATTRIBUTES), tuple(REQUEST_ATTRIBUTES)),
        (parsers.parse_opt_in, "*,shop.order", ("*", "shop.order")),
        (parsers.parse_opt_out, "shop.order", ("shop.order",)),
        (parsers.parse_text, " key ", "key"),
        (parsers.parse_path, "a b.db", Path("a b.db")),
        (parsers.parse_path, Path("a.db"), Path("a.db")),
        (parsers.parse_namespace, "shop.web_2", "shop.web_2"),
        (parsers.parse_token_handlers, "database, signed", ("database", "signed")),
        (parsers.parse_digests, "sha512,sha1", ("sha512", "sha1")),
        (parsers.parse_cache_seconds, "0", 0),
        (parsers.parse_cache_seconds, 60, 60),
        (parsers.parse_count, "0", 0),
        (parsers.parse_positive, "1", 1),
        (parsers.parse_positive, "2147483647", 2**31 - 1),
        (parsers.parse_outbox_bytes, "1048576", 2**20),
        (parsers.parse_outbox_bytes, "9" * 18, int("9" * 18)),
        *((parsers.parse_flag, value, True) for value in (True, "true", " TRUE ", "1")),
        *((parsers.parse_flag, value, False) for value in (False, "false", "0")),
        (parsers.parse_plugin_config, '{"my-plugin": {"key": 1}}', {"my-plugin": {"key": 1}}),
        (parsers.parse_plugin_config, {}, {}),
    ],
)
def test_value_that_is_allowed(parse: Callable[[object], object], value: object, parsed: object) -> None:
    """The smallest and largest numbers, other cases and spaces are accepted."""
    assert parse(value) == parsed


@pytest.mark.parametrize(
    ("parse", "value", "problem"),
    [
        *((parsers.parse_list, value, "must be a comma-separated list") for value in (1, None, [1])),
        *(
            (parsers.parse_signals, value, "must be one or more of log, span_event, span")
            for value in ("log,trace", ",")
        ),
        *((parser_of(OutboxFullPolicy), value, "must be one of reject, drop_oldest") for value in ("drop", None, 1)),
        (
            parsers.parse_actor_keys,
            "id,name:hide",
            "must not contain 'name:hide'; write a key, a colon and one of plain, mask, hash, drop",
        ),
        (parsers.parse_actor_keys, "-name:hash", "must not contain '-name:hash'"),
        (parsers.parse_context, "http.body", "must not contain 'http.body'; the names are "),
        (
            parsers.parse_opt_in,
            "shop.*",
            "must not contain 'shop.*', which is a pattern; write the names of attributes",
        ),
        (parsers.parse_opt_out, "shop.order,shop.*", "must not contain 'shop.*', which is a pattern"),
        (parsers.parse_opt_out, "*", "must not contain '*', which is a pattern"),
        *((parsers.parse_text, value, "must be text") for value in (" ", "", 7, None)),
        *((parsers.parse_path, value, "must be a path") for value in ("", 7, None)),
        (
            parsers.parse_path,
            "~nobody-here/outbox",
            "must be a path without `~`, because that user has no home directory",
        ),
        (parsers.parse_namespace, "Shop", "must be lower-case words"),
        (parsers.parse_namespace, "heliograph.x", "and must not begin with `heliograph`"),
        *(
            (parsers.parse_token_handlers, value, "must be signed, database, or both, separated by a comma")
            for value in ("", "other", "signed,signed")
        ),
        *(
            (parsers.parse_digests, value, "must be one or several of sha1, sha256, sha512, separated by commas")
            for value in ("md5", ",", "sha1,sha1")
        ),
        *(
            (parsers.parse_cache_seconds, value, "must be a whole number of seconds, 60 at most")
            for value in ("-1", 61)
        ),
        (parsers.parse_count, -1, "must be a whole number, 0 or above, and 2147483647 at most"),
        *((parsers.parse_positive, value, NUMBER) for value in ("0", "-1", "1e3", "²", "9" * 5000, 2**31, True, 1.0)),
        *(
            (parsers.parse_outbox_bytes, value, "must be a whole number of bytes, 1048576 at least")
            for value in ("1048575", "9" * 5000, "1MiB", True)
        ),
        *((parsers.parse_flag, value, "must be `true` or `false`") for value in (0, 1, 1.0, "yes", None)),
        (parsers.parse_plugin_config, "{", "must be JSON ("),
        (parsers.parse_plugin_config, "[" * 100_000, "must be JSON ("),
        *((parsers.parse_plugin_config, value, "must be a JSON object of objects") for value in ("[]", '{"a": 1}', 1)),
    ],
)
def test_value_that_is_not_allowed(parse: Callable[[object], object], value: object, problem: str) -> None:
    """The message says what is allowed. A number is no flag, and True is no number, although both are equal in Python."""
    with pytest.raises(ValueError) as caught:
        parse(value)

    assert str(caught.value).startswith("must ")
    assert problem in str(caught.value)


def test_path_begins_at_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """No shell expands `~` in a file of variables, such as systemd's, or in YAML."""
    monkeypatch.setenv("HOME", "/home/alice")

    assert parsers.parse_path("~/kept") == Path("/home/alice/kept")
