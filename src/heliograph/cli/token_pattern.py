"""``heliograph token pattern``: the regular expression of a token, for programs that search for secrets."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Final

import click

from heliograph.cli.json_option import json_option
from heliograph.cli.terminal import echo, echo_lines
from heliograph.tokens.stored import token_text

_REGEX: Final = token_text.PATTERN.pattern
_NOT_IN_A_WORD: Final = rf"\b({_REGEX})\b"

PATTERNS: Final = MappingProxyType(
    {
        "github": rf"""Pattern name: heliograph token
Secret format: {_REGEX}
Before secret: \A|[^0-9A-Za-z_]
After secret: \z|[^0-9A-Za-z_]""",
        "gitleaks": f"""[[rules]]
id = "heliograph-token"
description = "An API token of heliograph"
regex = '''{_NOT_IN_A_WORD}'''
keywords = ["{token_text.PREFIX}"]""",
        "trufflehog": f"""detectors:
  - name: heliograph-token
    keywords:
      - {token_text.PREFIX}
    regex:
      token: '{_NOT_IN_A_WORD}'""",
    }
)
"""The pattern of a token for each program: the fields of GitHub's form for a custom pattern, and parts of the configuration files of
Gitleaks and TruffleHog."""


@click.command()
@click.option(
    "--format",
    "format_name",
    type=click.Choice(list(PATTERNS)),
    help="The program that searches. Without it, only the regular expression is printed.",
)
@json_option("one JSON object, with the regular expression and the whole text")
def pattern(format_name: str | None, *, as_json: bool) -> None:
    """Print the pattern of a token, for a program that searches repositories and logs for secrets.

    `github` is a custom pattern of GitHub's secret scanning, field by field; `gitleaks` and `trufflehog` are parts of their
    configuration files. Pass the tokens that were found to `heliograph token revoke --leaked`.
    """
    shown = _REGEX if format_name is None else PATTERNS[format_name]
    if as_json:
        echo(json.dumps({"format": format_name, "regex": _REGEX, "text": shown}))
    else:
        echo_lines(shown)
