"""The Datasette that the source `datasette` starts, with the options of `datasette serve`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click
import pytest

import forked
from cli.lunch import LUNCH
from heliograph.cli import datasette_source
from heliograph.cli.event_classes import load_registry
from heliograph.settings import FIELDS, read_settings, variable_name
from processes import clean_environment


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lock(folder: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    """Run `schema lock` in a process of its own, because plugins stay in the process. Of those installed, ours alone starts."""
    command = [sys.executable, "-m", "heliograph", "schema", "lock", "--file", "lock.json", *arguments]
    variables |= {"DATASETTE_LOAD_PLUGINS": "heliograph", "HELIOGRAPH_FLUSH_TIMEOUT_MILLIS": "1"}
    ended = forked.run(command, cwd=folder, env=clean_environment(**variables))
    return ended.returncode, ended.stdout + ended.stderr


def test_a_missing_datasette_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says how to install Datasette."""
    monkeypatch.setitem(sys.modules, "datasette.app", None)

    with pytest.raises(click.UsageError, match=r"install heliograph\[datasette\]"):
        load_registry(["datasette"])


def test_older_datasette_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the version that is installed."""
    monkeypatch.setattr("datasette.version.__version__", "0.65.1")

    with pytest.raises(click.UsageError, match=r"datasette: .*0\.65\.1"):
        load_registry(["datasette"])


def test_options_are_those_of_datasette(folder: Path) -> None:
    """Events of `--plugins-dir` are served, with the settings of `--config`. Its paths are relative to the current folder."""
    (folder / "extra").mkdir()
    (folder / "extra" / "lunch.py").write_text(LUNCH)
    (folder / "key.txt").write_text("key")
    settings = {
        "namespace": "canteen",
        "outbox": "box",
        "privacy_key": {"$file": "key.txt"},
        "opt_out": ["datasette.login.x"],
    }
    (folder / "datasette.yaml").write_text(
        json.dumps({"plugins": {"heliograph": settings}, "x": [{"$file": "key.txt"}]})
    )

    status, printed = lock(folder, "--plugins-dir", "extra", "-c", "datasette.yaml", "datasette")

    assert status == 0, printed
    events = json.loads((folder / "lock.json").read_text())["events"]
    assert {"canteen.lunch", "datasette.login"} <= events.keys()


def test_paths_of_a_configuration_are_absolute(folder: Path) -> None:
    """Paths of files that Datasette reads, at any depth, and those of heliograph's settings are. Other values are not changed."""
    settings = {"outbox": "box", "quarantine": "~/aside.db", "namespace": "shop", "privacy_key": {"$file": "key.txt"}}
    config = {"plugins": {"heliograph": settings, "other": [{"a": {"$file": "a.txt"}}, {"$file": 3}]}, "title": "box"}
    (folder / "datasette.json").write_text(json.dumps(config))

    assert datasette_source.read_config(folder / "datasette.json") == {
        "plugins": {
            "heliograph": {
                "outbox": str(folder / "box"),
                "quarantine": str(Path("~/aside.db").expanduser()),
                "namespace": "shop",
                "privacy_key": {"$file": str(folder / "key.txt")},
            },
            "other": [{"a": {"$file": str(folder / "a.txt")}}, {"$file": 3}],
        },
        "title": "box",
    }


@pytest.mark.parametrize("text", ["", "{}", "plugins: 3", "plugins: {heliograph: 3}", "plugins:"])
def test_a_configuration_may_say_nothing_of_heliograph(folder: Path, text: str) -> None:
    """A wrong value is reported by Datasette or by heliograph's plugin, when they read it."""
    (folder / "datasette.yaml").write_text(text)

    assert datasette_source.read_config(folder / "datasette.yaml").keys() <= {"plugins"}


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ("plugins: {heliograph: {namespac: x}}", "plugins.heliograph.namespac: there is no such setting"),
        ("settings: {nope: 1}", "datasette: it cannot start: Invalid setting 'nope'"),
        ("[1]", "datasette.yaml is not a configuration of Datasette"),
        ("a: {", "datasette.yaml cannot be read"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_a_usage_error(folder: Path, config: str, problem: str) -> None:
    """The message names the key or the file, and has no traceback."""
    (folder / "datasette.yaml").write_text(config)

    status, printed = lock(folder, "--config", "datasette.yaml", "datasette")

    assert status == 2, printed
    assert problem in printed
    assert "Traceback" not in printed


def test_a_plugin_that_fails_is_a_usage_error(folder: Path) -> None:
    """The message has the error of the plugin."""
    (folder / "extra").mkdir()
    (folder / "extra" / "lunch.py").write_text("1 / 0")

    status, printed = lock(folder, "--plugins-dir", "extra", "datasette")

    assert status == 2, printed
    assert "datasette: it cannot start: division by zero" in printed


PLUGIN_THAT_STOPS = """
from datasette import hookimpl

@hookimpl
def startup(datasette):
    raise ValueError("no breakfast")

@hookimpl
def shutdown(datasette):
    open({path!r}, "w").close()
    raise ValueError("no supper")
"""


def test_a_datasette_that_fails_to_start_is_shut_down(folder: Path) -> None:
    """The plugins of the Datasette close their files. If that fails, too, the message has the first error."""
    (folder / "extra").mkdir()
    (folder / "extra" / "lunch.py").write_text(PLUGIN_THAT_STOPS.format(path=str(folder / "closed")))

    status, printed = lock(folder, "--plugins-dir", "extra", "datasette")

    assert status == 2, printed
    assert "datasette: it cannot start: no breakfast" in printed
    assert (folder / "closed").exists()


def test_options_without_datasette_are_refused(folder: Path) -> None:
    """Options of the source `datasette` would have no effect on another source."""
    status, printed = lock(folder, "--plugins-dir", ".", "json")

    assert status == 2
    assert "--plugins-dir and --config are options of the source `datasette`" in printed


@pytest.mark.parametrize("setting", datasette_source.PATH_SETTINGS)
def test_every_path_of_the_configuration_is_absolute(folder: Path, setting: str) -> None:
    """A path of a home directory that does not exist, an empty path and a database in memory stay as they are."""
    file = folder / "datasette.json"
    for path, expected in {
        "x.db": str(folder / "x.db"),
        "~no-such-user/x.db": "~no-such-user/x.db",
        "": "",
        ":memory:": ":memory:",
    }.items():
        file.write_text(json.dumps({"plugins": {"heliograph": {setting: path}}}))
        assert datasette_source.read_config(file)["plugins"]["heliograph"] == {setting: expected}


NOT_IN_THE_ENVIRONMENT = {"token_database": "no token is used, so it is in memory: see the test of it below"}
"""Settings with a path whose variables have another value while Datasette starts, and the reason."""


@pytest.mark.parametrize(
    "setting", [each for each in datasette_source.PATH_SETTINGS if each not in NOT_IN_THE_ENVIRONMENT]
)
def test_every_path_of_the_environment_is_absolute(folder: Path, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    """Afterwards the variable is as before."""
    variable = variable_name(setting)
    monkeypatch.setenv(variable, "x.db")

    with datasette_source._temporary_working_directory():
        assert os.environ[variable] == str(folder / "x.db")

    assert os.environ[variable] == "x.db"


def test_settings_with_a_path_are_found() -> None:
    """They are those that have a path for a value."""
    with_paths = {name for name in FIELDS if isinstance(value_for("x.db", name), Path)}

    assert set(datasette_source.PATH_SETTINGS) == with_paths


def value_for(text: str, setting: str) -> object:
    values, _ = read_settings({variable_name(setting): text})
    return values.get(setting)


def test_file_of_recent_events_may_be_relative(folder: Path) -> None:
    """The Datasette that is started for the command finds it in the current folder."""
    settings = {"recent_events": "events/recent.db"}
    (folder / "events").mkdir()
    (folder / "datasette.yaml").write_text(json.dumps({"plugins": {"heliograph": settings}}))

    status, printed = lock(folder, "-c", "datasette.yaml", "datasette")

    assert status == 0, printed


def test_paths_in_the_environment_are_absolute_while_datasette_starts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Afterwards the variables are as before. Those without a path are not changed."""
    before = {
        "HELIOGRAPH_OUTBOX": "box",
        "HELIOGRAPH_QUARANTINE": str(folder / "quarantine.db"),
        "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE": "ca.pem",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": "",
        "OTEL_CONFIG_FILE": "otel.yaml",
        "CURL_CA_BUNDLE": "~/ca.pem",
        "OTEL_SERVICE_NAME": "shop",
    }
    for name, value in before.items():
        monkeypatch.setenv(name, value)

    with datasette_source._temporary_working_directory():
        inside = {name: os.environ[name] for name in before}
        assert Path.cwd() != folder

    assert inside == {
        **before,
        "HELIOGRAPH_OUTBOX": str(folder / "box"),
        "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE": str(folder / "ca.pem"),
        "OTEL_CONFIG_FILE": str(folder / "otel.yaml"),
        "CURL_CA_BUNDLE": str(Path("~/ca.pem").expanduser()),
    }
    assert {name: os.environ[name] for name in before} == before
    assert Path.cwd() == folder


@pytest.mark.parametrize("variables", [{}, {"HELIOGRAPH_TOKEN_DATABASE": "tokens.db"}])
def test_tokens_of_the_environment_are_not_needed(folder: Path, variables: dict[str, str]) -> None:
    """The tokens may be in Datasette's internal database, which is another one here. No file is created."""
    status, printed = lock(folder, "datasette", HELIOGRAPH_TOKEN_HANDLERS="database", **variables)

    assert status == 0, printed
    assert list(folder.glob("tokens.db*")) == []


@pytest.mark.parametrize("database", [None, "tokens.db"])
def test_database_of_tokens_is_in_memory_while_datasette_starts(
    folder: Path, monkeypatch: pytest.MonkeyPatch, database: str | None
) -> None:
    """No file of tokens is created, and afterwards the variable is as before."""
    monkeypatch.delenv("HELIOGRAPH_TOKEN_DATABASE", raising=False)
    if database is not None:
        monkeypatch.setenv("HELIOGRAPH_TOKEN_DATABASE", database)

    with datasette_source._temporary_working_directory():
        inside = os.environ["HELIOGRAPH_TOKEN_DATABASE"]

    assert (inside, os.environ.get("HELIOGRAPH_TOKEN_DATABASE")) == (":memory:", database)


def test_configuration_cannot_be_read_without_datasette(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Datasette's own code reads its configuration. Without it, the command says so."""
    monkeypatch.setitem(sys.modules, "datasette.utils", None)

    with pytest.raises(click.UsageError, match="Datasette is not installed here"):
        datasette_source.read_config(folder / "datasette.yaml")
