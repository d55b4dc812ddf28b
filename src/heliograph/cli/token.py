"""``heliograph token``: create, list, show, restrict and rotate the tokens in a database.

The commands ``revoke``, ``verify`` and ``pattern`` are in modules of their own.
"""

from __future__ import annotations

import json

import click

from heliograph import tokens
from heliograph.cli.json_option import json_option
from heliograph.cli.terminal import echo
from heliograph.cli.token_host import TokenFile, open_host
from heliograph.cli.token_options import (
    Duration,
    by_option,
    file_options,
    restriction_options,
    token_id_argument,
)
from heliograph.cli.token_pattern import pattern
from heliograph.cli.token_revoke import revoke
from heliograph.cli.token_text import secret_to_dict, secret_to_line, to_dict, to_line
from heliograph.cli.token_verify import verify
from heliograph.tokens import IssuedToken
from heliograph.tokens.restrictions import TokenRestrictions
from heliograph.tokens.stored.record import STATES
from heliograph.values.text import counted, display


@click.group()
def token() -> None:
    """Manage the API tokens that a Host or a Datasette keeps in a database.

    Telemetry is sent to the endpoint of the OTEL_* variables; without them, nothing is sent. A command ends within two seconds, even
    if the backend does not answer. The exit status is 1 if nothing was found, or the token is not valid.
    """


token.add_command(revoke)
token.add_command(verify)
token.add_command(pattern)


@token.command()
@click.argument("actor_id", metavar="ACTOR")
@click.option("--label", help="A text for people, such as the purpose of the token.")
@click.option(
    "--expires-after", type=Duration(), metavar="TIME", help="The lifetime, such as 12h or 30d. Default: no limit."
)
@click.option(
    "--unused-after",
    type=Duration(),
    metavar="TIME",
    help="End the token when it has not been used for this time, which is at least 5m.",
)
@restriction_options
@by_option
@file_options
@json_option()
def create(
    *,
    actor_id: str,
    label: str | None,
    expires_after: int | None,
    unused_after: int | None,
    restrictions: TokenRestrictions | None,
    by: str | None,
    file: TokenFile,
    as_json: bool,
) -> None:
    """Create a token for ACTOR, the id of an actor, and print it. It cannot be printed again, because only its hash is stored.

    Without an option --allow…, it allows everything that the actor may do. The file is created if it does not exist.
    """
    with open_host(file, may_create=True, by=by) as host:
        issued = host.call(
            tokens.issue,
            host,
            actor_id,
            label=label,
            expires_after=expires_after,
            unused_after=unused_after,
            restrictions=restrictions,
        )
        _print_issued(issued, as_json=as_json)


@token.command("list")
@click.option("--actor", metavar="ACTOR", help="Only tokens of this actor.")
@click.option("--state", type=click.Choice(STATES), help="Only tokens in this state.")
@file_options
@json_option()
def list_tokens(actor: str | None, state: str | None, file: TokenFile, *, as_json: bool) -> None:
    """Print one line per token, the newest first: id, state, times of creation and last use, actor, label.

    The exit status is 1 if there is none.
    """
    with open_host(file, only_reads=True) as host:
        found = host.call(tokens.tokens, host, actor, state=state)
        for each in found:
            echo(json.dumps(to_dict(host, each)) if as_json else to_line(host, each))
    if not as_json:
        echo(counted(len(found), "token"), err=True)
    if not found:
        raise SystemExit(1)


@token.command()
@token_id_argument
@file_options
@json_option()
def show(token_id: str, file: TokenFile, *, as_json: bool) -> None:
    """Print everything that is stored about the token with this ID, and the times of its secrets.

    A secret itself is not stored: only its hash, and when it was created, first used and replaced. A token has two secrets while a
    rotation waits for the end of the old one.
    """
    with open_host(file, only_reads=True) as host:
        secrets = host.call(tokens.secrets, host, token_id)
        found = to_dict(host, host.call(tokens.get, host, token_id))
    if as_json:
        echo(json.dumps({**found, "secrets": [secret_to_dict(secret) for secret in secrets]}))
        return
    for name, value in found.items():
        if value is not None:
            echo(f"{name}: {display(value if isinstance(value, str) else json.dumps(value))}")
    for secret in secrets:
        echo(f"secret: {secret_to_line(secret)}")


@token.command()
@token_id_argument
@click.option(
    "--grace",
    type=Duration(),
    metavar="TIME",
    required=True,
    help="The time from the first use of the new token to the end of the old one; 0 ends the old one now.",
)
@click.option(
    "--latest",
    type=Duration(),
    metavar="TIME",
    default="30d",
    show_default=True,
    help="End the old one after this time in any case.",
)
@by_option
@file_options
@json_option()
def rotate(token_id: str, grace: int, latest: int, by: str | None, file: TokenFile, *, as_json: bool) -> None:
    """Give the token with this ID a new secret, and print the new token, which cannot be printed again. The ID does not change.

    The old token is valid until the new one is used, and for the time of --grace from then on.
    """
    with open_host(file, by=by) as host:
        issued = host.call(tokens.rotate, host, token_id, grace=grace, latest=latest)
        _print_issued(issued, as_json=as_json)


@token.command()
@token_id_argument
@restriction_options
@by_option
@file_options
@json_option()
def restrict(
    *,
    token_id: str,
    restrictions: TokenRestrictions | None,
    by: str | None,
    file: TokenFile,
    as_json: bool,
) -> None:
    """Limit the token with this ID to the actions that the options name. Actions can be removed, but not added."""
    if restrictions is None:
        raise click.UsageError("name what the token still allows by --allow, --allow-database or --allow-resource")
    with open_host(file, by=by) as host:
        host.call(tokens.restrict, host, token_id, restrictions)
        allowed = host.call(tokens.get, host, token_id).restrictions
    echo(
        json.dumps({"id": token_id, "restrictions": allowed})
        if as_json
        else f"{token_id} allows {display(json.dumps(allowed))}"
    )


def _print_issued(issued: IssuedToken, *, as_json: bool) -> None:
    """Print a token to the standard output, so that a program can read it, and a note for people to the standard error."""
    try:
        echo(json.dumps({"id": issued.id, "token": issued.token}) if as_json else issued.token)
    except OSError as error:
        # The disk is full, or the program that reads our output has ended.
        raise click.UsageError(
            f"the token with the id {issued.id} exists, but could not be printed: {error}; revoke it, or rotate it"
        ) from error
    if not as_json:
        echo(f"The token with the id {issued.id} is shown only this once.", err=True)
