"""The command ``heliograph``."""

from __future__ import annotations

import click

from heliograph.cli.demo import demo
from heliograph.cli.quarantine import quarantine
from heliograph.cli.schema import schema
from heliograph.version import __version__


@click.group()
@click.version_option(__version__)
def cli() -> None:
    """Typed events and API tokens, observable with OpenTelemetry."""


cli.add_command(demo)
cli.add_command(quarantine)
cli.add_command(schema)
