"""The effective settings, with the source of each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from heliograph.doctor import effective
from heliograph.doctor.effective import ShownSetting, settings_of, variables_of, versions
from heliograph.doctor.secrecy import HIDDEN
from heliograph.settings import FIELDS, read_settings


def shown(environ: dict[str, str], config: dict[str, object] | None = None) -> dict[str, ShownSetting]:
    values, _ = read_settings(environ, config)
    return {each.name: each for each in settings_of(values, environ, config)}


def test_settings_have_their_sources() -> None:
    """The environment takes precedence over Datasette's configuration."""
    environ = {"HELIOGRAPH_NAMESPACE": "shop", "HELIOGRAPH_SECRET": "canary"}
    found = shown(environ, {"namespace": "forum", "outbox": "/var/box"})

    assert len(found) == len(FIELDS)
    assert (found["HELIOGRAPH_NAMESPACE"].value, found["HELIOGRAPH_NAMESPACE"].source) == ("shop", "environment")
    assert (found["HELIOGRAPH_OUTBOX"].value, found["HELIOGRAPH_OUTBOX"].source) == ("/var/box", "configuration")
    assert (found["HELIOGRAPH_SIGNALS"].value, found["HELIOGRAPH_SIGNALS"].source) == ("log,span_event", "default")
    assert found["HELIOGRAPH_VALIDATION"].value == "warn"
    assert found["HELIOGRAPH_ALLOW_SIGNED_TOKENS"].value == "true"
    assert found["HELIOGRAPH_SECRET"].value == HIDDEN


def test_values_of_every_type_are_shown() -> None:
    """A secret with its default is none."""
    found = {each.name: each.value for each in settings_of({"outbox": Path("box")}, {})}

    assert found["HELIOGRAPH_OUTBOX"] == "box"
    assert found["HELIOGRAPH_SECRET"] == "none"
    assert found["HELIOGRAPH_OUTBOX_MAX_BYTES"] == str(2**30)
    assert found["HELIOGRAPH_PLUGIN_CONFIG"] == "none"


@pytest.mark.parametrize(
    ("environ", "config", "setting"),
    [
        ({"TOKEN_TTL": "0"}, None, ShownSetting(name="TOKEN_TTL", value="0", source="environment", usable=False)),
        ({}, {"actor": 3}, ShownSetting(name="ACTOR", value="3", source="configuration", usable=False)),
        ({}, {"token_ttl": 60}, ShownSetting(name="TOKEN_TTL", value="60", source="configuration", usable=False)),
        (
            {"PLUGIN_CONFIG": "[]"},
            None,
            ShownSetting(name="PLUGIN_CONFIG", value=HIDDEN, source="environment", usable=False),
        ),
    ],
)
def test_setting_that_cannot_be_used(
    environ: dict[str, str], config: dict[str, object] | None, setting: ShownSetting
) -> None:
    """It is shown as it was given, and others are shown with their values. A secret is hidden."""
    found = shown(
        {f"HELIOGRAPH_{name}": text for name, text in environ.items()} | {"HELIOGRAPH_NAMESPACE": "shop"}, config
    )

    assert found[f"HELIOGRAPH_{setting.name}"] == replace(setting, name=f"HELIOGRAPH_{setting.name}")
    assert found["HELIOGRAPH_NAMESPACE"].value == "shop"
    assert [each.name for each in found.values() if not each.usable] == [f"HELIOGRAPH_{setting.name}"]


def test_actor_without_keys_is_set() -> None:
    """An empty value of this variable has a meaning. That of any other counts as not set."""
    found = shown({"HELIOGRAPH_ACTOR": "", "HELIOGRAPH_OPT_OUT": ""})

    assert (found["HELIOGRAPH_ACTOR"].value, found["HELIOGRAPH_ACTOR"].source) == ("none", "environment")
    assert found["HELIOGRAPH_OPT_OUT"].source == "default"


def test_configuration_that_is_no_mapping() -> None:
    """The settings of the environment are shown."""
    environ = {"HELIOGRAPH_NAMESPACE": "shop"}
    config: Any = ["outbox"]
    values, problems = read_settings(environ, config)

    assert problems == ["plugins.heliograph: it must be a mapping of settings to their values"]
    assert [each.name for each in settings_of(values, environ, config) if each.source != "default"] == [
        "HELIOGRAPH_NAMESPACE"
    ]


def test_variables_of_the_environment() -> None:
    """A variable without a value counts as not set, and those of others are not shown."""
    environ = {"OTEL_SERVICE_NAME": "shop", "OTEL_LOGS_EXPORTER": "", "PATH": "/bin"}

    assert [(each.name, each.value, each.source) for each in variables_of(environ)] == [
        ("OTEL_SERVICE_NAME", "shop", "environment")
    ]


def test_versions_of_installed_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is not installed is not in the list."""
    assert {"python", "heliograph", "opentelemetry-sdk"} <= versions().keys()

    monkeypatch.setattr(effective, "_PACKAGES", ("heliograph", "no-such-package"))
    assert versions().keys() == {"python", "heliograph"}
