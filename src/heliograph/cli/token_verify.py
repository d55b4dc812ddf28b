"""``heliograph token verify``: verify a token, which is read from the standard input and never shown, and print the result."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TextIO

import click

from heliograph.ambient_actor import Actor
from heliograph.classes import qualified_name
from heliograph.cli.json_option import json_option
from heliograph.cli.terminal import echo
from heliograph.cli.token_host import TokenFile, open_host
from heliograph.cli.token_options import file_options
from heliograph.errors import TokenInvalid
from heliograph.host import Host
from heliograph.tokens.rejections import ERROR, UNRECOGNIZED, VALID, rejection_result
from heliograph.tokens.stored import token_text
from heliograph.values.text import display, utc


@dataclass(frozen=True, kw_only=True)
class VerifiedToken:
    """The result of the verification of a token.

    Attributes:
        result: A value of `heliograph.token.result`.
        token_id: The id of the token, if the handler knows it.
        actor_id: The id of the actor of a valid token.
        restrictions: The actions that a valid token allows, in Datasette's compact form; `None` allows everything.
        expires: The end of a valid token in UTC, or `None`.
        error: The class of the exception if a handler failed.
    """

    result: str
    token_id: object = None
    actor_id: object = None
    restrictions: object = None
    expires: str | None = None
    error: str | None = None


@click.command()
@click.argument("source", metavar="[-]", nargs=-1, type=click.UNPROCESSED)
@file_options
@json_option("one JSON object")
def verify(source: tuple[str, ...], file: TokenFile, *, as_json: bool) -> None:
    """Read a token from the standard input, and print the result. The token is never shown.

    It is a real verification, and counts as a use of the token: the first use of a new secret begins the grace period of the one that it
    replaces. Signed tokens are verified with HELIOGRAPH_SECRET.

    The exit status is 0 if the token is valid, 1 if it is not, and 2 if a token handler failed.
    """
    # The message does not quote the argument, which may be a token.
    if source not in ((), ("-",)):
        raise click.UsageError("the token is read from the standard input, and must not be an argument")
    token = _read_token()
    with open_host(file) as host:
        verified = _verified(host, token)
    echo(
        json.dumps({key: value for key, value in vars(verified).items() if value is not None}, default=str)
        if as_json
        else _line(verified)
    )
    if verified.result != VALID:
        raise SystemExit(2 if verified.result == ERROR else 1)


def _read_token() -> str:
    stdin: TextIO | None = sys.stdin
    if stdin is None:
        raise click.UsageError("the standard input is closed")
    if stdin.isatty():
        return str(click.prompt("Token", hide_input=True, err=True))
    # One byte more than the limit, so that a longer text is rejected as too long, and two for the end of the line.
    given = stdin.buffer.read(token_text.MAX_LENGTH + 3)
    return given.decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r")


def _verified(host: Host, token: str) -> VerifiedToken:
    """Verify a token. Messages of exceptions are not shown, because a plugin's may quote the token."""
    try:
        actor = host.verify(token)
    except TokenInvalid as error:
        return VerifiedToken(result=rejection_result(error), token_id=getattr(error, "token_id", None))
    except Exception as error:
        # The handler of a plugin may raise anything.
        return VerifiedToken(result=ERROR, error=qualified_name(error))
    return VerifiedToken(result=UNRECOGNIZED) if actor is None else _accepted(actor)


def _accepted(actor: Actor) -> VerifiedToken:
    expires = actor.get("token_expires")
    return VerifiedToken(
        result=VALID,
        token_id=actor.get("token_id"),
        actor_id=actor.get("id"),
        restrictions=actor.get("_r"),
        expires=utc(expires) if isinstance(expires, (int, float)) else None,
    )


def _line(verified: VerifiedToken) -> str:
    known = {
        "token": verified.token_id,
        "actor": verified.actor_id,
        "allows": None if verified.restrictions is None else json.dumps(verified.restrictions, default=str),
        "expires": verified.expires,
        "error": verified.error,
    }
    details = (f"{name}: {display(str(value))}" for name, value in known.items() if value is not None)
    return "  ".join((verified.result, *details))
