"""``heliograph token revoke``: revoke tokens by their ids, all tokens of an actor, all tokens, or the tokens in a file that leaked."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import IO, Final

import click

from heliograph import tokens
from heliograph.cli.json_option import json_option
from heliograph.cli.named_or_all import all_option
from heliograph.cli.terminal import echo
from heliograph.cli.token_host import TokenFile, open_host
from heliograph.cli.token_leaks import tokens_in
from heliograph.cli.token_options import TokenId, by_option, file_options
from heliograph.errors import TokenNotFound
from heliograph.host import Host
from heliograph.values.text import counted

REVOKED: Final = "revoked"
REVOKED_BEFORE: Final = "revoked before"
REPLACED: Final = "replaced before"
NOT_FOUND: Final = "not found"


@click.command()
@click.argument("token_ids", metavar="[ID]...", nargs=-1, type=TokenId())
@click.option("--actor", metavar="ACTOR", help="Revoke all tokens of this actor.")
@all_option("Revoke all tokens of everybody.")
@click.option(
    "--leaked",
    type=click.File("rb"),
    metavar="FILE",
    help="Revoke the tokens in a file; - is the standard input.",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation of --all.")
@by_option
@file_options
@json_option()
def revoke(
    token_ids: tuple[str, ...],
    actor: str | None,
    leaked: IO[bytes] | None,
    by: str | None,
    file: TokenFile,
    *,
    everything: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Revoke tokens for good: by ID, all tokens of an actor, all tokens, or the tokens in a file that leaked.

    With --leaked, FILE is any text with whole tokens: lines, a log, or the JSON that GitHub's secret scanning sends to
    partners. A token is revoked if its checksum is right, and the database has its hash. A token whose secret was replaced by a
    newer one, and is not valid any more, is only reported.

    Other processes notice it after HELIOGRAPH_TOKEN_CACHE_SECONDS (5 by default) at most. The exit status is 1 if an ID
    is unknown, or nothing was found.
    """
    if sum((bool(token_ids), actor is not None, everything, leaked is not None)) != 1:
        raise click.UsageError("name the tokens by ID, or use one of --actor, --all and --leaked")
    if everything and not yes:
        click.confirm("Revoke all tokens of everybody?", abort=True)
    found = [] if leaked is None else tokens_in(leaked)
    with open_host(file, by=by) as host:
        if leaked is not None:
            is_found = _revoke_leaked(host, found, as_json=as_json)
        elif token_ids:
            is_found = _revoke_named(host, token_ids, as_json=as_json)
        else:
            is_found = _revoke_all(host, actor, as_json=as_json)
    if not is_found:
        raise SystemExit(1)


def _revoke_named(host: Host, token_ids: tuple[str, ...], *, as_json: bool) -> bool:
    outcomes = []
    for token_id in dict.fromkeys(token_ids):
        try:
            outcomes.append(_revoke_one(host, token_id))
        except TokenNotFound:
            outcomes.append(NOT_FOUND)
        _report(token_id, outcomes[-1], as_json=as_json)
    return NOT_FOUND not in outcomes


def _revoke_leaked(host: Host, leaked: list[str], *, as_json: bool) -> bool:
    """Revoke the tokens of a file. Unknown tokens are only counted: anybody may have written them, with any id."""
    outcomes: Counter[str] = Counter()
    for token in leaked:
        secret = host.call(tokens.find, host, token)
        if secret is None:
            outcomes[NOT_FOUND] += 1
            continue
        is_replaced = secret.ends is not None and time.time() >= secret.ends
        outcome = REPLACED if is_replaced else _revoke_one(host, secret.token.id)
        outcomes[outcome] += 1
        _report(secret.token.id, outcome, as_json=as_json)
    summary = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    echo(f"{counted(len(leaked), 'token')} in the file{': ' if summary else ''}{summary}", err=True)
    return outcomes.total() > outcomes[NOT_FOUND]


def _revoke_one(host: Host, token_id: str) -> str:
    return REVOKED if host.call(tokens.revoke, host, token_id) else REVOKED_BEFORE


def _revoke_all(host: Host, actor: str | None, *, as_json: bool) -> bool:
    count = host.call(tokens.revoke_all, host, actor)
    echo(json.dumps({"revoked": count}) if as_json else f"{counted(count, 'token')} revoked.")
    return count > 0


def _report(token_id: str, outcome: str, *, as_json: bool) -> None:
    echo(json.dumps({"id": token_id, "outcome": outcome}) if as_json else f"{token_id}  {outcome}")
