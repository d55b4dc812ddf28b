"""Every problem of the configuration is reported when Datasette starts, before it serves a request."""

from __future__ import annotations

from pathlib import Path
from subprocess import CompletedProcess

import pytest
from datasette.utils import StartupError

from forked import run
from processes import DATASETTE, clean_environment

BAD_ENVIRONMENT = {
    "HELIOGRAPH_SIGNALS": "smoke",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
    "OTEL_TRACES_EXPORTER": "pigeon",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "semaphore",
}


@pytest.fixture(params=["heliograph", "heliograph,datasette-otel-otlp-exporter"], ids=["alone", "beside a sibling"])
def plugins(request: pytest.FixtureRequest) -> str:
    """The plugins that Datasette loads. Alone, ours sets a TracerProvider at its import; beside a sibling, at startup."""
    return request.param


def datasette(directory: Path, plugins: str, *arguments: str, **variables: str) -> CompletedProcess[str]:
    """Run a `datasette` command to its end."""
    environment = clean_environment(DATASETTE_LOAD_PLUGINS=plugins, **variables)
    return run([*DATASETTE, *arguments], cwd=directory, env=environment)


@pytest.mark.anyio
async def test_one_error_lists_every_problem(instances, monkeypatch) -> None:
    """A `StartupError` lists each unknown key, each bad value, and each bad variable."""
    monkeypatch.setenv("HELIOGRAPH_FLUSH_TIMEOUT_MILLIS", "soon")
    config = {"signalz": "log", "namespace": "Bad Name", "secret": "hidden", "actor": 7}

    with pytest.raises(StartupError) as caught:
        await instances(config={"plugins": {"heliograph": config}})

    message = str(caught.value)
    assert message.startswith("heliograph: ")
    for words in (
        "plugins.heliograph.signalz: there is no such setting; did you mean 'signals'?",
        "plugins.heliograph.namespace: 'Bad Name'",
        "plugins.heliograph.secret: remove it; Datasette has its own: the option `--secret`",
        "plugins.heliograph.actor: 7",
        "HELIOGRAPH_FLUSH_TIMEOUT_MILLIS: 'soon'",
    ):
        assert words in message
    assert "hidden" not in message


@pytest.mark.anyio
async def test_environment_takes_precedence_over_datasettes_configuration(instances, telemetry, monkeypatch) -> None:
    """If both contain a setting, the value of the environment is used."""
    import datasette.events

    monkeypatch.setenv("HELIOGRAPH_ACTOR", "name")
    instance = await instances(config={"plugins": {"heliograph": {"actor": "id"}}})

    await instance.track_event(datasette.events.LoginEvent(actor={"id": "alice", "name": "Alice"}))

    assert telemetry.events == [("datasette.login", {"user.name": "Alice"})]


def test_serve_fails_with_every_problem_and_no_traceback(tmp_path, plugins) -> None:
    """The message names each wrong variable, our own and OpenTelemetry's, and shows no traceback."""
    ended = datasette(tmp_path, plugins, "serve", "--port", "0", **BAD_ENVIRONMENT)

    assert ended.returncode != 0
    assert "Error: heliograph: " in ended.stderr
    assert "HELIOGRAPH_SIGNALS: 'smoke'" in ended.stderr
    assert "OTEL_EXPORTER_OTLP_PROTOCOL: 'semaphore'" in ended.stderr
    assert plugins != "heliograph" or "'pigeon'" in ended.stderr  # a sibling's spans are not ours to export
    assert "Traceback" not in ended.stderr


def test_serve_reports_what_the_sdk_rejects(tmp_path, plugins) -> None:
    """A value that the SDK's own classes reject fails the start, with the reason."""
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "OTEL_BLRP_MAX_QUEUE_SIZE": "-1",
        "OTEL_METRICS_EXPORTER": "none",
    }

    ended = datasette(tmp_path, plugins, "serve", "--port", "0", **variables)

    assert ended.returncode != 0
    assert "Error: heliograph: " in ended.stderr
    assert "logs cannot be exported: max_queue_size must be a positive integer." in ended.stderr
    assert "Traceback" not in ended.stderr


def test_other_commands_work_in_a_bad_environment(tmp_path, plugins) -> None:
    """`datasette --version` and `datasette plugins` succeed."""
    for command in ("--version", "plugins"):
        ended = datasette(tmp_path, plugins, command, **BAD_ENVIRONMENT)

        assert ended.returncode == 0
        assert "Traceback" not in ended.stderr


def test_unknown_key_on_the_command_line_fails_the_start(tmp_path) -> None:
    """`-s plugins.heliograph.…` is checked like the configuration file."""
    ended = datasette(tmp_path, "heliograph", "serve", "-s", "plugins.heliograph.signalz", "log", "--port", "0")

    assert ended.returncode != 0
    assert "did you mean 'signals'?" in ended.stderr


@pytest.mark.anyio
async def test_strict_validation_fails_the_start(instances, monkeypatch) -> None:
    """`strict` would report a committed write as failed. The message names the values to use instead."""
    monkeypatch.setenv("HELIOGRAPH_VALIDATION", "strict")

    with pytest.raises(StartupError, match=r"'strict' is not possible .* use 'quarantine' or 'warn'"):
        await instances()


@pytest.mark.anyio
async def test_settings_that_cannot_work_are_reported_with_the_others(instances, monkeypatch) -> None:
    """A value that is allowed elsewhere, and one that is allowed nowhere, are two lines of one message."""
    monkeypatch.setenv("HELIOGRAPH_VALIDATION", "strict")
    monkeypatch.setenv("HELIOGRAPH_SIGNALS", "smoke")

    with pytest.raises(StartupError, match=r"(?s)HELIOGRAPH_SIGNALS: 'smoke'.*'strict' is not possible"):
        await instances()


@pytest.mark.anyio
async def test_quarantine_that_cannot_be_written_fails_the_start(instances, monkeypatch, tmp_path) -> None:
    """The server does not start, because later each invalid event would be an error, and would be emitted."""
    monkeypatch.setenv("HELIOGRAPH_VALIDATION", "quarantine")
    monkeypatch.setenv("HELIOGRAPH_QUARANTINE", str(tmp_path / "missing" / "q.db"))
    monkeypatch.setenv("HELIOGRAPH_SIGNALS", "smoke")

    with pytest.raises(StartupError, match=r"(?s)'smoke'.*quarantine: .* the directory .*missing does not exist"):
        await instances()
