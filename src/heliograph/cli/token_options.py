"""The arguments and options that the commands of ``heliograph token`` share."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

import click

from heliograph.cli.terminal import echo
from heliograph.cli.token_host import TokenFile
from heliograph.tokens.actions import CORE_ACTIONS
from heliograph.tokens.restrictions import TokenRestrictions
from heliograph.tokens.stored import token_text

_Grants: TypeAlias = "tuple[tuple[str, ...], ...]"
"""Actions, each after the names of the database and the resource that it is allowed for."""

_UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60, "w": 7 * 24 * 60 * 60}
_DURATION: Final = re.compile(r"([0-9]{1,12})([smhdw]?)")
_TOKEN_ID: Final = re.compile(rf"[0-9A-Za-z]{{{token_text.ID_LENGTH}}}")


class TokenId(click.ParamType):  # type: ignore[type-arg]  # not generic in older versions
    """The id of a token. Anything else is rejected without being shown: it may be a token that was pasted by mistake."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the id."""
        if _TOKEN_ID.fullmatch(value) is None:
            self.fail(
                f"an id has {token_text.ID_LENGTH} letters and digits; `heliograph token list` shows the ids, and `heliograph token "
                "verify` reads a whole token from its standard input",
                param,
                ctx,
            )
        return str(value)


class Duration(click.ParamType):  # type: ignore[type-arg]  # not generic in older versions
    """A time in seconds, or in another unit: ``90``, ``15m``, ``12h``, ``30d``, ``4w``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the seconds."""
        match = _DURATION.fullmatch(str(value))
        if match is None:
            self.fail(
                f"{value!r} is not a time; write seconds, or a number with s, m, h, d or w, such as 30d", param, ctx
            )
        return int(match[1]) * _UNIT_SECONDS[match[2] or "s"]


by_option = click.option(
    "--by", metavar="ACTOR", help="The id of the person or program that does this, for the audit trail."
)
token_id_argument = click.argument("token_id", metavar="ID", type=TokenId())


def file_options(command: Callable[..., object]) -> Callable[..., object]:
    """Add the options that name the file of the tokens. The command gets them as `file`."""

    @click.option(
        "--database",
        type=click.Path(dir_okay=False, path_type=Path),
        help="The SQLite file of the tokens, such as the one of Datasette's option --internal. Default: HELIOGRAPH_TOKEN_DATABASE.",
    )
    @click.option(
        "-c",
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Datasette's configuration file, with its settings max_signed_tokens_ttl and allow_signed_tokens, and those in "
        "`plugins: heliograph:`.",
    )
    @functools.wraps(command)
    def with_file(*, database: Path | None, config: Path | None, **others: object) -> object:
        return command(file=TokenFile(database=database, config=config), **others)

    return with_file


_GRANT_OPTIONS: Final = (
    click.option(
        "--allow-resource",
        "resources",
        metavar="DATABASE RESOURCE ACTION",
        nargs=3,
        multiple=True,
        help="Allow an action on one table or query.",
    ),
    click.option(
        "--allow-database",
        "databases",
        metavar="DATABASE ACTION",
        nargs=2,
        multiple=True,
        help="Allow an action in one database.",
    ),
    click.option(
        "--allow",
        "everywhere",
        metavar="ACTION",
        nargs=1,
        multiple=True,
        callback=lambda _, __, actions: tuple((action,) for action in actions),
        help="Allow an action everywhere, such as view-instance.",
    ),
)
"""The options for the actions of a token. The help shows them in the reverse order."""


def restriction_options(command: Callable[..., object]) -> Callable[..., object]:
    """Add the options for what a token allows. The command gets them as `restrictions`: `None` if there are none."""

    @functools.wraps(command)
    def with_restrictions(*, everywhere: _Grants, databases: _Grants, resources: _Grants, **others: object) -> object:
        return command(restrictions=_restrictions_of(everywhere, databases, resources), **others)

    decorated: Callable[..., object] = with_restrictions
    for option in _GRANT_OPTIONS:
        decorated = option(decorated)
    return decorated


def _restrictions_of(everywhere: _Grants, databases: _Grants, resources: _Grants) -> TokenRestrictions | None:
    if not (everywhere or databases or resources):
        return None
    restrictions = TokenRestrictions()
    for grants, allow in (
        (everywhere, restrictions.allow_all),
        (databases, restrictions.allow_database),
        (resources, restrictions.allow_resource),
    ):
        for grant in grants:
            allow(*grant)
    _report_unknown({grant[-1] for grant in (*everywhere, *databases, *resources)})
    return restrictions


def _report_unknown(actions: set[str]) -> None:
    """Print a note for each action that is not Datasette's own: it may be misspelled, or a plugin's, which is not loaded here."""
    for action in sorted(actions - CORE_ACTIONS.keys()):
        echo(f"Note: {action!r} is not an action of Datasette's core.", err=True)
