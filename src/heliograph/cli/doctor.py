"""``heliograph doctor``: examine the set-up of telemetry, and report each problem with its fix."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from pathlib import Path
from typing import Final

import click

from heliograph.cli.datasette_source import DatasetteOptions, start_datasette
from heliograph.cli.json_option import json_option
from heliograph.cli.seconds import Seconds
from heliograph.cli.terminal import echo
from heliograph.delivery.transport.destination import Headers, OtlpProtocol
from heliograph.delivery.transport.environment import parse_headers
from heliograph.doctor.backends import BACKENDS
from heliograph.doctor.examination import DatasetteStart, Question, examine
from heliograph.semconv import SCOPE

HEADERS_VARIABLE: Final = "HELIOGRAPH_DOCTOR_HEADERS"
"""The variable for the option ``--arrived-headers``."""


@click.command()
@click.argument(
    "configs", metavar="[CONFIG]...", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--datasette",
    "is_datasette",
    is_flag=True,
    help="Examine the plugin of the installed Datasette, which is started for this, with the configuration files CONFIG. "
    "If there are several, later ones win.",
)
@click.option(
    "--plugins-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder with the further plugins of Datasette, for --datasette.",
)
@click.option(
    "--arrived",
    "urls",
    multiple=True,
    metavar="URL",
    help="Ask the backend with this query API if it stored the test record. Can be given several times.",
)
@click.option(
    "--arrived-headers",
    envvar=HEADERS_VARIABLE,
    metavar="NAME=VALUE,…",
    help="The headers for the backend of --arrived, such as authorization=Bearer%20TOKEN: values are percent-encoded. "
    f"The variable {HEADERS_VARIABLE} keeps them out of the list of processes. They are never shown.",
)
@click.option("--backend", type=click.Choice(sorted(BACKENDS)), help="The kind of the backend. Default: detected.")
@click.option(
    "--timeout",
    type=Seconds(),
    default=30.0,
    metavar="SECONDS",
    show_default=True,
    help="The longest wait for each backend.",
)
@json_option("one JSON object")
def doctor(
    configs: tuple[Path, ...],
    *,
    is_datasette: bool,
    plugins_dir: Path | None,
    urls: tuple[str, ...],
    arrived_headers: str | None,
    backend: str | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Examine the set-up of telemetry, and send a test record of each signal to its endpoint.

    It prints the effective settings and the source of each, the versions, the owner of each OpenTelemetry provider, and the answer of each
    endpoint: accepted, or the problem and its fix, with a stable id such as H010. With --arrived, a backend is asked if it stored the record,
    and if the name of the event survived. Values of headers are never shown. The endpoints are those of the OTEL_* variables. The test
    records are called heliograph.doctor.test, and the backend stores them.

    The exit status is 0 if all is well, and 1 if there is a problem.
    """
    if backend is not None and len(urls) != 1:
        raise click.UsageError("--backend is the kind of the one backend that --arrived names")
    headers = _headers(arrived_headers)
    if headers and len(urls) > 1:
        raise click.UsageError("--arrived-headers are for the one backend that --arrived names")
    if not is_datasette and (configs or plugins_dir):
        raise click.UsageError("CONFIG and --plugins-dir are for --datasette")
    # Otherwise gRPC would print lines of its own about a failed handshake, which a finding reports already.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    for name in (SCOPE, "opentelemetry"):
        logging.getLogger(name).addHandler(logging.NullHandler())
    report = examine(
        questions=[Question(url=url, backend=backend, timeout_seconds=timeout, headers=headers) for url in urls],
        datasette=_started(DatasetteOptions(plugins_dir=plugins_dir, configs=configs)) if is_datasette else None,
    )
    if as_json:
        echo(json.dumps(report.to_json()))
    else:
        for line in report.lines():
            echo(line)
    if not report.is_well:
        raise SystemExit(1)


def _headers(text: str | None) -> Headers:
    try:
        return parse_headers(text, OtlpProtocol.HTTP) if text else Headers()
    except ValueError as error:
        raise click.UsageError(f"--arrived-headers: {error}") from error


def _started(options: DatasetteOptions) -> DatasetteStart:
    try:
        return DatasetteStart(config=asyncio.run(start_datasette(options)).config)
    except click.UsageError as error:
        return DatasetteStart(problem=error.message.removeprefix("datasette: "))
