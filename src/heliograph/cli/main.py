"""The command ``heliograph``."""

from __future__ import annotations

import click

from heliograph.cli.demo import demo
from heliograph.cli.outbox import outbox
from heliograph.cli.quarantine import quarantine
from heliograph.cli.schema import schema
from heliograph.errors import FileFormatError, OutboxError, QuarantineError, SettingsError
from heliograph.version import __version__


class _Group(click.Group):
    """The group of all commands. Reports problems with settings and files as wrong usage: a message, exit status 2."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (FileFormatError, OutboxError, QuarantineError, SettingsError) as error:
            raise click.UsageError(str(error)) from error


@click.group(cls=_Group)
@click.version_option(__version__)
def cli() -> None:
    """Typed events and API tokens, observable with OpenTelemetry."""


cli.add_command(demo)
cli.add_command(outbox)
cli.add_command(quarantine)
cli.add_command(schema)
