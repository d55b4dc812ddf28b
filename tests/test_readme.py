"""The README's quick starts run as they are printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from datasette.app import Datasette

from heliograph.integrations.datasette.instance_state import state_of
from heliograph.receiver.server import receiving
from heliograph.receiver.store import Store

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()


def block(language: str, containing: str) -> str:
    """Return the README's block of code in the language that contains the text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)
    return next(each for each in blocks if containing in each)


@pytest.fixture
def store(tmp_path):
    """The telemetry that arrives."""
    return Store(tmp_path / "arrived.db")


def run(command, endpoint, folder):
    environ = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "NO_PROXY": "127.0.0.1"}
    subprocess.run(command, env=environ, cwd=folder, check=True, timeout=60)


def test_the_program_of_the_quick_start_sends_the_described_event(store, tmp_path):
    """The block runs as it is printed, and the event that arrives is the one that the text describes."""
    with receiving(store) as endpoint:
        run([sys.executable, "-c", block("python", "configure(")], endpoint, tmp_path)
    [event] = store.rows("select * from events")
    assert (event["event_name"], event["body"]) == ("app.ban_user", "root banned cleverbot")
    attributes = re.findall(r"attributes (.*?); inside", README, flags=re.DOTALL)[0]
    for name in re.findall(r"`([\w.]+)`", attributes):
        assert name in event["attributes"]


def test_datasette_exports_its_spans_if_an_endpoint_is_set(store, tmp_path):
    """With heliograph installed and an endpoint set, Datasette's own spans arrive, under its name."""
    with receiving(store) as endpoint:
        run([sys.executable, "-m", "datasette", "--get", "/-/versions.json"], endpoint, tmp_path)
    spans = store.rows("select name, service from spans")
    assert any(span["name"].startswith("GET") for span in spans)
    assert {span["service"] for span in spans} == {"datasette"}


def test_the_configuration_for_datasette_is_accepted():
    """The plugin takes the settings of the README from Datasette's configuration."""
    datasette = Datasette(memory=True, config=yaml.safe_load(block("yaml", "heliograph")))
    assert state_of(datasette).settings.actor == ("id", "name")
