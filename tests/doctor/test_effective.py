"""The effective settings, with the source of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from heliograph.doctor import effective
from heliograph.doctor.effective import settings_of, variables_of, versions
from heliograph.doctor.secrecy import HIDDEN
from heliograph.settings import FIELDS, Settings


def test_settings_have_their_sources() -> None:
    """The environment takes precedence over Datasette's configuration."""
    environ = {"HELIOGRAPH_NAMESPACE": "shop", "HELIOGRAPH_SECRET": "canary"}
    config = {"namespace": "forum", "outbox": "/var/box"}
    found = {each.name: each for each in settings_of(Settings.from_env(environ, config=config), environ, config)}

    assert len(found) == len(FIELDS)
    assert (found["HELIOGRAPH_NAMESPACE"].value, found["HELIOGRAPH_NAMESPACE"].source) == ("shop", "environment")
    assert (found["HELIOGRAPH_OUTBOX"].value, found["HELIOGRAPH_OUTBOX"].source) == ("/var/box", "configuration")
    assert (found["HELIOGRAPH_SIGNALS"].value, found["HELIOGRAPH_SIGNALS"].source) == ("log,span_event", "default")
    assert found["HELIOGRAPH_VALIDATION"].value == "warn"
    assert found["HELIOGRAPH_ALLOW_SIGNED_TOKENS"].value == "true"
    assert found["HELIOGRAPH_SECRET"].value == HIDDEN


def test_values_of_every_type_are_shown() -> None:
    """A secret with its default is none."""
    found = {each.name: each.value for each in settings_of(Settings(outbox=Path("box")), {})}

    assert found["HELIOGRAPH_OUTBOX"] == "box"
    assert found["HELIOGRAPH_SECRET"] == "none"
    assert found["HELIOGRAPH_OUTBOX_MAX_BYTES"] == str(2**30)
    assert found["HELIOGRAPH_PLUGIN_CONFIG"] == "none"


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
