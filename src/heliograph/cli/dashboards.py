"""``heliograph dashboards``: write Grafana dashboards for event classes."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Final

import click

from heliograph.cli.datasette_source import DatasetteOptions
from heliograph.cli.event_classes import EXAMPLE_KEY, load_sources, sources_argument
from heliograph.cli.output_file import write
from heliograph.cli.terminal import echo
from heliograph.schema.registry import SchemaRegistry
from heliograph.telemetry.actor_attributes import ActorFilter

_NAME: Final = re.compile(r"(?=.{1,19}\Z)[a-z0-9]+(-[a-z0-9]+)*")
"""At most 19 characters, because the name ends the uid of a dashboard, for which Grafana permits 40 characters."""


def _checked_name(context: click.Context, option: click.Parameter, name: str | None) -> str | None:
    del context, option
    if name is not None and not _NAME.fullmatch(name):
        raise click.BadParameter(f"{name!r} is not a name of at most 19 lower-case letters, digits and hyphens")
    return name


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
@click.option(
    "--name",
    metavar="NAME",
    callback=_checked_name,
    help="The name of the catalogue, if one Grafana has the catalogues of several programs: lower-case letters, digits and hyphens.",
)
def dashboards(
    sources: tuple[str, ...], datasette: DatasetteOptions, *, out: Path, logs: str, traces: str, name: str | None
) -> None:
    """Write Grafana dashboards: Events, Tokens, Delivery, and a Catalogue with a row for each event of the classes.

    Other files in the folder are kept. The same classes give the same files.
    """
    try:
        from heliograph.dashboards.backends import EVENT_STORES, TRACE_STORES, Backends  # an optional dependency
        from heliograph.dashboards.files import dashboard_files
    except ImportError as error:
        raise click.UsageError("install heliograph[dashboards], which needs Python 3.11 or later") from error
    loaded = load_sources(sources, datasette)
    settings = loaded.settings()
    # With a key, because the services probably have one: without it, fields that are to be hashed are not exported.
    registry = SchemaRegistry.from_settings(dataclasses.replace(settings, privacy_key=EXAMPLE_KEY))
    loaded.register_in(registry)
    actor = ActorFilter(settings.actor, registry.policy).id_attribute
    backends = Backends(events=EVENT_STORES[logs](actor), traces=TRACE_STORES[traces]())
    for file, text in dashboard_files(list(registry.values()), backends, name).items():
        write(out / file, text)
        echo(out / file)
