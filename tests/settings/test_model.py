"""Settings are parsed and checked; one error lists every problem."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import re
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import Settings, SettingsError, Signal, Validation
from heliograph.semconv import REQUEST_ATTRIBUTES
from heliograph.settings import FIELDS, read_settings, variable_name
from heliograph.settings.fields import Setting


def problems(environ: dict[str, str], config: dict[str, object] | None = None) -> tuple[str, ...]:
    """Return the problems of an environment and a configuration that cannot be used."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ, config=config)
    return caught.value.problems


def test_defaults() -> None:
    """Without any variable, the settings are the documented defaults."""
    settings = Settings.from_env({})

    assert settings == Settings()
    assert settings.signals == {Signal.LOG, Signal.SPAN_EVENT}
    assert (settings.namespace, settings.actor, settings.secret) == ("app", ("*", "-email"), ())
    assert (settings.allow_signed_tokens, settings.token_ttl, settings.flush_timeout_millis) == (True, None, 5000)
    assert settings.plugin_config == {}


def test_type_checkers_know_every_word_that_a_field_accepts() -> None:
    """The literals in the type of a field are the values of its enum, in order."""
    checked = 0
    for name, hint in get_type_hints(Settings).items():
        value, *accepted = get_args(hint) if get_origin(hint) is Setting else (None,)
        if isinstance(value, type) and issubclass(value, enum.Enum):
            (words,) = (get_args(each) for each in get_args(accepted[0]) if get_origin(each) is Literal)
            assert words == tuple(member.value for member in value), name
            checked += 1
    assert checked == 6


def test_documentation_names_every_attribute_of_a_request() -> None:
    """The text of the setting is a literal, so that editors show it."""
    (text,) = re.findall(r'context: [^"]*"""(.*?)"""', inspect.getsource(Settings), flags=re.DOTALL)

    assert re.findall("`(.*?)`", text) == list(REQUEST_ATTRIBUTES)


def test_environment_is_read() -> None:
    """Each variable is parsed; spaces and a trailing comma do no harm; variables of other programs are ignored."""
    settings = Settings.from_env(
        {
            "HELIOGRAPH_SIGNALS": " span , log,",
            "HELIOGRAPH_NAMESPACE": "shop.orders",
            "HELIOGRAPH_ACTOR": "id,-email",
            "HELIOGRAPH_SECRET": "new, old",
            "HELIOGRAPH_SIGNATURE_DIGEST": "sha512, sha1",
            "HELIOGRAPH_ALLOW_SIGNED_TOKENS": "False",
            "HELIOGRAPH_TOKEN_TTL": "3600",
            "HELIOGRAPH_FLUSH_TIMEOUT_MILLIS": " 100 ",
            "HELIOGRAPH_PLUGIN_CONFIG": '{"my-plugin": {"a": 1}}',
            "OTHER": "x",
        }
    )

    assert settings == Settings(
        signals=frozenset({Signal.SPAN, Signal.LOG}),
        namespace="shop.orders",
        actor=("id", "-email"),
        secret=("new", "old"),
        signature_digest=("sha512", "sha1"),
        allow_signed_tokens=False,
        token_ttl=3600,
        flush_timeout_millis=100,
        plugin_config={"my-plugin": {"a": 1}},
    )


def test_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument, the variables of the process are used."""
    monkeypatch.setenv("HELIOGRAPH_NAMESPACE", "elsewhere")

    assert Settings.from_env().namespace == "elsewhere"


def test_empty_variable_counts_as_not_set_except_for_the_actor() -> None:
    """OpenTelemetry's specification says so. An empty list of the actor's keys has a meaning: export none."""
    settings = Settings.from_env({variable_name(name): "" for name in FIELDS})

    assert settings == dataclasses.replace(Settings(), actor=())


def test_environment_takes_precedence_over_configuration() -> None:
    """The environment takes precedence over the configuration, and that over the default."""
    config: dict[str, object] = {"namespace": "config", "signals": ["log"], "flush_timeout_millis": 7}
    settings = Settings.from_env({"HELIOGRAPH_NAMESPACE": "environment"}, config=config)

    assert (settings.namespace, settings.signals, settings.flush_timeout_millis) == ("environment", {Signal.LOG}, 7)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("ACTOR", "-name:hash", "'-name:hash' must not contain '-name:hash'"),
        ("ALLOW_SIGNED_TOKENS", "maybe", "'maybe' must be `true` or `false`"),
        ("FLUSH_TIMEOUT_MILLIS", "0", "'0' must be a whole number above 0"),
        ("NAMESPACE", "Shop", "'Shop' must be lower-case words"),
        ("OPT_IN", "shop.*", "must not contain 'shop.*', which is a pattern"),
        ("OPT_OUT", "*", "must not contain '*', which is a pattern"),
        ("OUTBOX", "~nobody-here/outbox", "must be a path without `~`"),
        ("OUTBOX_FULL", "drop", "'drop' must be one of reject, drop_oldest"),
        ("OUTBOX_MAX_BYTES", "1MiB", "'1MiB' must be a whole number of bytes"),
        ("PLUGIN_CONFIG", "[]", "its value must be a JSON object of objects"),
        ("PRIVACY_KEY", " ", "its value must be text"),
        ("SIGNALS", "log,trace", "'log,trace' must be one or more of log, span_event, span"),
        ("SIGNATURE_DIGEST", "md5", "'md5' must be one or several of sha1, sha256, sha512"),
        ("SPAN_EVENT", "uid", "'uid' must be one of full, reference"),
        ("TOKEN_TTL", "1e3", "'1e3' must be a whole number above 0"),
        ("VALIDATION", "on", "'on' must be one of off, warn, quarantine, strict"),
    ],
)
def test_value_that_is_not_allowed(name: str, value: str, problem: str) -> None:
    """The message names the variable, the value, and what is allowed. `test_parsers` has all values."""
    [found] = problems({f"HELIOGRAPH_{name}": value})

    assert found.startswith(f"HELIOGRAPH_{name}: ")
    assert problem in found


def test_value_in_a_configuration_that_is_not_allowed() -> None:
    """The message names the key of the configuration, not the variable."""
    found = problems({}, {"outbox": "", "flush_timeout_millis": True})

    assert found == (
        "plugins.heliograph.outbox: '' must be a path",
        "plugins.heliograph.flush_timeout_millis: True must be a whole number above 0, and 2147483647 at most",
    )


@pytest.mark.parametrize("name", ["outbox", "quarantine"])
def test_path_begins_at_the_home_directory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No shell expands `~` in a file of variables, such as systemd's, or in YAML."""
    monkeypatch.setenv("HOME", "/home/alice")

    assert getattr(Settings.from_env({variable_name(name): "~/kept"}), name) == Path("/home/alice/kept")
    assert getattr(Settings.from_env({}, config={name: "~/kept"}), name) == Path("/home/alice/kept")
    assert getattr(Settings(**{name: "~/kept"}), name) == Path("/home/alice/kept")  # type: ignore[arg-type]


def test_further_problems_are_reported_with_the_others() -> None:
    """A host that cannot use an allowed value says so at the same time. It sees only values that are allowed."""
    seen: list[object] = []

    def check(values: Mapping[str, object]) -> list[str]:
        seen.append(dict(values))
        return ["validation: not here"]

    with pytest.raises(SettingsError) as caught:
        Settings.from_env({"HELIOGRAPH_VALIDATION": "strict", "HELIOGRAPH_SIGNALS": "smoke"}, check=check)

    assert len(caught.value.problems) == 2
    assert caught.value.problems[1] == "validation: not here"
    assert seen == [{"validation": Validation.STRICT}]


def test_configuration_that_is_no_mapping() -> None:
    """A list or a text in the place of the settings is an error; no value at all is not."""
    assert problems({}, ["log"]) == ("plugins.heliograph: it must be a mapping of settings to their values",)  # type: ignore[arg-type]
    assert Settings.from_env({}, config=None) == Settings()


def test_values_that_are_allowed_are_read_beside_the_others() -> None:
    """The value of a key that a configuration must not have is none of them."""
    environ = {"HELIOGRAPH_NAMESPACE": "shop", "HELIOGRAPH_OUTBOX_SYNC": "never"}
    values, problems = read_settings(environ, {"namespace": "forum", "outbox": "box", "token_ttl": 60})

    assert values == {"namespace": "shop", "outbox": Path("box")}
    assert [problem.partition(":")[0] for problem in problems] == [
        "plugins.heliograph.token_ttl",
        "HELIOGRAPH_OUTBOX_SYNC",
    ]


def test_one_error_lists_every_problem() -> None:
    """The error lists the problems of the environment and of the configuration, unknown keys included."""
    found = problems(
        {"HELIOGRAPH_SIGNALS": "x", "HELIOGRAPH_TOKEN_TTL": "x"},
        {"namespce": "a", "flush_timeout_millis": "x", "secret": "s", "zzz": 1},
    )

    assert sorted(problem.split(":")[0] for problem in found) == [
        "HELIOGRAPH_SIGNALS",
        "HELIOGRAPH_TOKEN_TTL",
        "plugins.heliograph.flush_timeout_millis",
        "plugins.heliograph.namespce",
        "plugins.heliograph.secret",
        "plugins.heliograph.zzz",
    ]
    assert any("did you mean 'namespace'?" in problem for problem in found)
    assert "plugins.heliograph.secret: remove it; Datasette has its own: the option `--secret`" in found


def test_arguments_in_code_are_checked_too() -> None:
    """Arguments in code raise the same error, which names the argument."""
    with pytest.raises(SettingsError) as caught:
        Settings(namespace="Shop", token_ttl=0, flush_timeout_millis=True)

    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "Settings(namespace=…)",
        "Settings(token_ttl=…)",
        "Settings(flush_timeout_millis=…)",
    ]


def test_secrets_are_not_shown() -> None:
    """`repr` and error messages do not contain the value of a secret setting."""
    settings = Settings(secret=("SECRET",), plugin_config={"p": {"password": "SECRET"}})
    with pytest.raises(SettingsError) as caught:
        Settings(secret=7, plugin_config={"p": "SECRET"})  # type: ignore[arg-type]

    assert "SECRET" not in repr(settings)
    assert "SECRET" not in str(caught.value)
    assert len(caught.value.problems) == 2


def test_secret_in_a_broken_plugin_config_is_not_shown() -> None:
    """The message of a syntax error does not quote the text."""
    [found] = problems({"HELIOGRAPH_PLUGIN_CONFIG": '{"p": {"password": "SECRET"'})

    assert "SECRET" not in found


def test_settings_are_frozen() -> None:
    """Settings cannot be changed while the program runs."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().namespace = "x"  # type: ignore[misc]


WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
VALUES = (
    WORDS
    | st.from_regex(r"[0-9]{1,12}", fullmatch=True)
    | st.sampled_from(
        ["log", "log,span", "true", "*", "{}", '{"a": {}}', "[" * 5000, '{"a":' * 2000, "1" * 5000, "NaN", "shop"]
    )
)
ENVIRONMENTS = st.dictionaries(
    st.sampled_from([variable_name(name) for name in FIELDS])
    | st.text(string.ascii_uppercase).map(lambda name: f"HELIOGRAPH_{name}"),
    VALUES,
)


@given(ENVIRONMENTS)
def test_any_environment_gives_settings_or_a_settings_error(environ: dict[str, str]) -> None:
    """No other exception is raised. Settings that were parsed are accepted again, unchanged, by `Settings`."""
    try:
        settings = Settings.from_env(environ)
    except SettingsError as error:
        assert error.problems
    else:
        again = Settings(**{name: getattr(settings, name) for name in FIELDS})
        assert again == settings


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(list(FIELDS)) | st.text(max_size=5), ANYTHING))
def test_any_configuration_gives_settings_or_a_settings_error(config: dict[str, Any]) -> None:
    """Values of any type that YAML has do not raise another exception."""
    try:
        json.dumps(sorted(map(str, Settings.from_env({}, config=config).actor)))
    except SettingsError as error:
        assert error.problems


def test_misspelt_variable_causes_a_warning(warnings: pytest.LogCaptureFixture) -> None:
    """An unknown variable is not an error, because another program may use the same prefix."""
    Settings.from_env(
        {"HELIOGRAPH_NAMESPCE": "x", "HELIOGRAPH_NAMESPACE": "shop", "HELIOGRAPH_BACKENDS": "y", "HELIOGRAPH_": "z"}
    )

    assert warnings.messages == ["HELIOGRAPH_NAMESPCE is not a setting; did you mean HELIOGRAPH_NAMESPACE?"]
