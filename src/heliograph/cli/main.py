"""The command ``heliograph``."""

from __future__ import annotations

import click

from heliograph.cli.dashboards import dashboards
from heliograph.cli.demo import demo
from heliograph.cli.doctor import doctor
from heliograph.cli.outbox import outbox
from heliograph.cli.quarantine import quarantine
from heliograph.cli.schema import schema
from heliograph.cli.tail import tail
from heliograph.cli.token import token
from heliograph.errors import FileFormatError, OutboxError, QuarantineError, SettingsError
from heliograph.values.text import escape_unprintable
from heliograph.version import __version__


class _Group(click.Group):
    """The group of all commands.

    Problems with settings and files are reported as wrong usage: a message, exit status 2. Unprintable characters in a message
    are escaped: it may quote a file.
    """

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            error.message = escape_unprintable(error.message, keep="\n")  # type: ignore[misc]  # final for subclasses
            raise
        except (FileFormatError, OutboxError, QuarantineError, SettingsError) as error:
            raise click.UsageError(escape_unprintable(str(error), keep="\n")) from error


@click.group(cls=_Group)
@click.version_option(__version__)
def cli() -> None:
    """Typed events and API tokens, observable with OpenTelemetry."""


cli.add_command(dashboards)
cli.add_command(demo)
cli.add_command(doctor)
cli.add_command(outbox)
cli.add_command(quarantine)
cli.add_command(schema)
cli.add_command(tail)
cli.add_command(token)
