"""The README describes its quick starts as they are. `documentation/test_pages.py` runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from datasette.app import Datasette

import processes
from documentation.blocks import blocks_of
from heliograph import Host, Settings
from heliograph.integrations.datasette.instance_state import state_of
from heliograph.receiver.server import receiving
from heliograph.receiver.store import Store
from heliograph.testing import capture
from processes import clean_environment

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def block(language: str, containing: str) -> str:
    """Return the README's block of code in the language that contains the text."""
    found = (block.content for block in blocks_of(ROOT / "README.md") if block.language == language)
    return next(each for each in found if containing in each)


@pytest.fixture
def store(tmp_path):
    """The telemetry that arrives."""
    return Store(tmp_path / "arrived.db")


def run(command, endpoint, folder, **variables):
    environ = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "NO_PROXY": "127.0.0.1"} | variables
    subprocess.run(command, env=environ, cwd=folder, check=True, timeout=60)


def test_the_first_event_is_seen_as_described(store, tmp_path):
    """The block runs as it is printed, as the file that the command names, and the event that arrives is the one that the text describes."""
    (tmp_path / "forum.py").write_text(block("python", "configure("))
    command = re.findall(r"^\$ (OTEL_SERVICE_NAME=forum) python (forum.py)$", README, flags=re.MULTILINE)
    assert command == [("OTEL_SERVICE_NAME=forum", "forum.py")]
    with receiving(store) as endpoint:
        run([sys.executable, "forum.py"], endpoint, tmp_path, OTEL_SERVICE_NAME="forum")
    [event] = store.rows("select * from events")
    assert (event["event_name"], event["body"], event["service"]) == ("app.ban_user", "root banned cleverbot", "forum")
    attributes = re.findall(r"attributes (.*?); inside", README, flags=re.DOTALL)[0]
    names = re.findall(r"`([\w.]+)`", attributes)
    assert len(names) == 4
    for name in names:
        assert name in event["attributes"]


def test_the_first_event_is_printed_by_the_exporter_for_the_console(tmp_path):
    """`OTEL_LOGS_EXPORTER=console` prints the log record."""
    environ = clean_environment(OTEL_LOGS_EXPORTER="console", OTEL_TRACES_EXPORTER="none", OTEL_METRICS_EXPORTER="none")
    ran = processes.run([sys.executable, "-c", block("python", "configure(")], cwd=tmp_path, env=environ)
    assert '"event_name": "app.ban_user"' in ran.stdout


def test_tokens_are_used_as_printed():
    """The block runs on a host, and the token begins as the text says."""
    with Host(Settings(secret=("x",))) as host:
        namespace = {}
        exec(block("python", "create_token"), namespace)
        with capture(host) as captured:
            host.call(namespace["log_in"], host)
        assert host.call(host.create_token, "root").startswith("dstok_")
    assert [each.result for each in captured.tokens] == ["created", "valid"]
    assert "`dstok_`" in README


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
