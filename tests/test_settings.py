"""Settings are read once, and every problem is told at once."""

from __future__ import annotations

import dataclasses
import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import Settings, SettingsError, Signal
from heliograph.settings import FIELDS, variable_name


def problems(environ: dict[str, str], config: dict[str, object] | None = None) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ, config=config)
    return caught.value.problems


def test_defaults() -> None:
    """What the design's table says."""
    settings = Settings.from_env({})

    assert settings == Settings()
    assert settings.signals == {Signal.LOG, Signal.SPAN_EVENT}
    assert (settings.namespace, settings.actor, settings.secret) == ("app", ("*", "-email"), ())
    assert (settings.allow_signed_tokens, settings.token_ttl, settings.flush_timeout_millis) == (True, None, 5000)
    assert settings.plugin_config == {}


def test_every_field_is_a_variable_with_documentation() -> None:
    """The table of settings is made from the fields."""
    assert variable_name("token_ttl") == "HELIOGRAPH_TOKEN_TTL"
    assert all(field.metadata["doc"] for field in FIELDS.values())


def test_environment_is_read() -> None:
    """Each variable, in the form that its documentation says."""
    settings = Settings.from_env(
        {
            "HELIOGRAPH_SIGNALS": " span , log,",
            "HELIOGRAPH_NAMESPACE": "shop.orders",
            "HELIOGRAPH_ACTOR": "id,-email",
            "HELIOGRAPH_SECRET": "new, old",
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
        allow_signed_tokens=False,
        token_ttl=3600,
        flush_timeout_millis=100,
        plugin_config={"my-plugin": {"a": 1}},
    )


def test_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument, `os.environ` is read."""
    monkeypatch.setenv("HELIOGRAPH_NAMESPACE", "elsewhere")

    assert Settings.from_env().namespace == "elsewhere"


def test_empty_variable_counts_as_unset_but_for_the_actor() -> None:
    """As OpenTelemetry's specification says; an empty list of the actor's keys is a choice."""
    settings = Settings.from_env({variable_name(name): "" for name in FIELDS})

    assert settings == dataclasses.replace(Settings(), actor=())


def test_environment_wins_over_configuration() -> None:
    """And the configuration over the default."""
    config: dict[str, object] = {"namespace": "config", "signals": ["log"], "flush_timeout_millis": 7}
    settings = Settings.from_env({"HELIOGRAPH_NAMESPACE": "environment"}, config=config)

    assert (settings.namespace, settings.signals, settings.flush_timeout_millis) == ("environment", {Signal.LOG}, 7)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("SIGNALS", "log,trace", "'log,trace' has to be one or more of log, span_event, span"),
        ("SIGNALS", ",", "',' has to be one or more of"),
        ("NAMESPACE", "Shop", "'Shop' has to be lower-case words"),
        ("NAMESPACE", "heliograph.x", "and not `heliograph`"),
        ("ALLOW_SIGNED_TOKENS", "maybe", "'maybe' has to be `true` or `false`"),
        ("TOKEN_TTL", "0", "'0' has to be a whole number above 0"),
        ("TOKEN_TTL", "-1", "'-1' has to be a whole number above 0"),
        ("TOKEN_TTL", "1e3", "'1e3' has to be a whole number above 0"),
        ("FLUSH_TIMEOUT_MILLIS", "9" * 5000, "has to be a whole number above 0"),
        ("FLUSH_TIMEOUT_MILLIS", "²", "'²' has to be a whole number above 0"),
        ("PLUGIN_CONFIG", "{", "its value is not JSON"),
        ("PLUGIN_CONFIG", "[]", "has to be a JSON object of objects"),
        ("PLUGIN_CONFIG", '{"a": 1}', "has to be a JSON object of objects"),
    ],
)
def test_value_that_cannot_be_used(name: str, value: str, problem: str) -> None:
    """The variable, the value, and what it has to be."""
    [told] = problems({f"HELIOGRAPH_{name}": value})

    assert told.startswith(f"HELIOGRAPH_{name}: ")
    assert problem in told


def test_every_problem_is_told_at_once() -> None:
    """Of the environment and of the configuration, unknown keys included."""
    told = problems(
        {"HELIOGRAPH_SIGNALS": "x", "HELIOGRAPH_TOKEN_TTL": "x"},
        {"namespce": "a", "flush_timeout_millis": "x", "secret": "s", "zzz": 1},
    )

    assert sorted(problem.split(":")[0] for problem in told) == [
        "HELIOGRAPH_SIGNALS",
        "HELIOGRAPH_TOKEN_TTL",
        "plugins.heliograph.flush_timeout_millis",
        "plugins.heliograph.namespce",
        "plugins.heliograph.secret",
        "plugins.heliograph.zzz",
    ]
    assert any("did you mean 'namespace'?" in problem for problem in told)
    assert any("Datasette decides that itself, by its option `--secret`" in problem for problem in told)


def test_code_is_checked_too() -> None:
    """A wrong argument is the same error, naming the argument."""
    with pytest.raises(SettingsError) as caught:
        Settings(namespace="Shop", token_ttl=0, flush_timeout_millis=True)

    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "Settings(namespace=…)",
        "Settings(token_ttl=…)",
        "Settings(flush_timeout_millis=…)",
    ]


def test_secrets_are_shown_nowhere() -> None:
    """Neither in the repr nor in an error."""
    settings = Settings(secret=("SECRET",), plugin_config={"p": {"password": "SECRET"}})
    with pytest.raises(SettingsError) as caught:
        Settings(secret=7, plugin_config={"p": "SECRET"})  # type: ignore[arg-type]

    assert "SECRET" not in repr(settings)
    assert "SECRET" not in str(caught.value)
    assert len(caught.value.problems) == 2


def test_secret_in_a_broken_plugin_config_is_not_shown() -> None:
    """Not even the place in the text."""
    [told] = problems({"HELIOGRAPH_PLUGIN_CONFIG": '{"p": {"password": "SECRET"'})

    assert "SECRET" not in told


def test_settings_are_frozen() -> None:
    """Nobody changes them while the program runs."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().namespace = "x"  # type: ignore[misc]


def test_misspelt_variable_is_told_in_a_warning(warnings: pytest.LogCaptureFixture) -> None:
    """Another program may use the prefix, so it is no error."""
    Settings.from_env({"HELIOGRAPH_NAMESPCE": "x", "HELIOGRAPH_BACKENDS": "y", "HELIOGRAPH_": "z"})

    assert warnings.messages == ["HELIOGRAPH_NAMESPCE is no setting; did you mean HELIOGRAPH_NAMESPACE?"]


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
    """There is no third way; what is given is legal, and the same when it is given again."""
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
    """Also what YAML can make of a key."""
    try:
        json.dumps(sorted(map(str, Settings.from_env({}, config=config).actor)))
    except SettingsError as error:
        assert error.problems
