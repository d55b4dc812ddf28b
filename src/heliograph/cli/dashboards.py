"""``heliograph dashboards``: write Grafana dashboards for event classes."""

from __future__ import annotations

from pathlib import Path

import click

from heliograph.cli.datasette_source import DatasetteOptions
from heliograph.cli.event_classes import EXAMPLE_KEY, load_registry, sources_argument
from heliograph.cli.output_file import write
from heliograph.cli.terminal import echo


@click.command()
@sources_argument
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="The folder to write to.")
@click.option(
    "--logs",
    type=click.Choice(["victorialogs", "loki"]),
    default="victorialogs",
    show_default=True,
    help="The store of events.",
)
@click.option(
    "--traces",
    type=click.Choice(["jaeger", "tempo"]),
    default="jaeger",
    show_default=True,
    help="The store of traces.",
)
def dashboards(sources: tuple[str, ...], datasette: DatasetteOptions, *, out: Path, logs: str, traces: str) -> None:
    """Write Grafana dashboards: Events, Tokens, Delivery, and a Catalogue with a row for each event of the classes.

    Other files in the folder are kept. The same classes give the same files.
    """
    try:
        from heliograph.dashboards.backends import EVENT_STORES, TRACE_STORES, Backends  # an optional dependency
        from heliograph.dashboards.files import dashboard_files
    except ImportError as error:
        raise click.UsageError("install heliograph[dashboards], which needs Python 3.11 or later") from error
    # With a key, because the services probably have one: without it, fields that are to be hashed are not exported.
    registry = load_registry(sources, datasette=datasette, privacy_key=EXAMPLE_KEY)
    backends = Backends(events=EVENT_STORES[logs], traces=TRACE_STORES[traces])
    for name, text in dashboard_files(list(registry.values()), backends).items():
        write(out / name, text)
        echo(out / name)
