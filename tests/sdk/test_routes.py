"""The routes of the signals, in processes of their own: a process can set each provider once."""

from __future__ import annotations

import sys
from pathlib import Path
from subprocess import CompletedProcess

import forked
from backends import free_port
from heliograph.version import __version__
from processes import WITHOUT_OPTIONAL_PACKAGES, clean_environment, run

CONFIGURE = "import heliograph; heliograph.configure(heliograph.Settings(flush_timeout_millis=1))"
WITH_LOG = "import logging; logging.basicConfig(level=logging.INFO, format='%(levelname)s %(name)s %(message)s')"
OTHER = (
    "from opentelemetry import trace; from opentelemetry.sdk.trace import TracerProvider; "
    "trace.set_tracer_provider(TracerProvider())"
)
NOTHING = {f"OTEL_{name}_EXPORTER": "none" for name in ("TRACES", "METRICS", "LOGS")}
PRINT = "from heliograph.sdk.routes import find_routes; print([each.owner for each in find_routes()])"


def program(directory: Path, *lines: str, **environ: str) -> CompletedProcess[str]:
    return forked.run([sys.executable, "-c", "\n".join(lines)], cwd=directory, env=clean_environment(**environ))


def line_of(ran: CompletedProcess[str]) -> str:
    """Return the only line of level INFO."""
    [line] = [line for line in ran.stderr.splitlines() if line.startswith("INFO heliograph ")]
    return line.removeprefix("INFO heliograph ")


def test_owner_of_each_provider(tmp_path: Path) -> None:
    """The owner is nobody, heliograph, or another part of the program."""
    owners = [
        program(tmp_path, *lines, PRINT, **NOTHING).stdout.strip()
        for lines in (
            [],
            [CONFIGURE],
            [OTHER, CONFIGURE],
            [CONFIGURE.replace("heliograph.conf", "h = heliograph.conf"), "h.shutdown()"],
        )
    ]

    assert owners == [
        "['', '', '']",
        "['heliograph', 'heliograph', 'heliograph']",
        "['opentelemetry.sdk.trace.TracerProvider', 'heliograph', 'heliograph']",
        "['heliograph', 'heliograph', 'heliograph']",
    ]


def test_configure_logs_one_line(tmp_path: Path) -> None:
    """The line has level INFO, and names the place and the owner of each signal, without credentials."""
    environ = {
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://127.0.0.1:1/v1/logs?key=canary",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=canary",
    }
    begin = f"heliograph {__version__} exports "

    line = line_of(program(tmp_path, WITH_LOG, CONFIGURE, **environ))
    assert line == f"{begin}traces to nowhere; metrics to nowhere; logs to http://127.0.0.1:1/v1/logs"
    line = line_of(program(tmp_path, WITH_LOG, OTHER, CONFIGURE, **NOTHING))
    assert line.startswith(
        f"{begin}traces by the provider of opentelemetry.sdk.trace.TracerProvider; metrics to nowhere"
    )
    outbox = CONFIGURE.replace("Settings(", f"Settings(outbox={str(tmp_path / 'box')!r}, ")
    line = line_of(program(tmp_path, WITH_LOG, outbox, **{**environ, "OTEL_METRICS_EXPORTER": "console"}))
    assert line == f"{begin}traces to nowhere; metrics to ConsoleMetricExporter; logs to the outbox {tmp_path / 'box'}"
    pulled = {**NOTHING, "OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": str(free_port())}
    line = line_of(program(tmp_path, WITH_LOG, CONFIGURE, **pulled))
    assert "PrometheusMetricReader; logs to nowhere" in line
    line = line_of(program(tmp_path, WITH_LOG, CONFIGURE, OTEL_SDK_DISABLED="true"))
    assert line == "heliograph exports nothing: OTEL_SDK_DISABLED is set."


def test_standard_error_of_a_script_stays_clean(tmp_path: Path) -> None:
    """Without a set-up of logging, Python shows no line of level INFO."""
    assert program(tmp_path, CONFIGURE, **NOTHING).stderr == ""


def test_line_of_datasettes_plugin(tmp_path: Path) -> None:
    """The line names a sibling by its distribution. A dormant plugin says so, and imports no SDK."""
    start = "import asyncio; from datasette.app import Datasette; asyncio.run(Datasette(memory=True).invoke_startup())"
    alone = {"DATASETTE_LOAD_PLUGINS": "heliograph"}

    def dormant(**environ: str) -> str:
        no_sdk = "assert 'opentelemetry.sdk._logs' not in sys.modules"
        lines = "\n".join([WITHOUT_OPTIONAL_PACKAGES, WITH_LOG, start, no_sdk])
        ran = run([sys.executable, "-c", lines], cwd=tmp_path, env=clean_environment(**environ))
        assert ran.returncode == 0, ran.stderr
        return line_of(ran)

    def exporting(**environ: str) -> str:
        return line_of(program(tmp_path, WITHOUT_OPTIONAL_PACKAGES, WITH_LOG, start, **environ))

    assert dormant(**alone) == "heliograph exports nothing: no OTEL_* variable names an endpoint or an exporter."
    assert dormant(**alone, OTEL_SDK_DISABLED="true") == "heliograph exports nothing: OTEL_SDK_DISABLED is set."
    assert exporting(**alone, **NOTHING).endswith("traces to nowhere; metrics to nowhere; logs to nowhere")
    viewer = {"DATASETTE_LOAD_PLUGINS": "heliograph,datasette-otel-viewer"}
    assert "exports traces by the provider of datasette-otel-viewer; metrics " in exporting(**viewer)
