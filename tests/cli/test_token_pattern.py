"""`heliograph token pattern` prints the pattern of a token for programs that search for secrets."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from click.testing import CliRunner

from heliograph.cli.main import cli
from heliograph.tokens.stored.token_text import is_well_formed, new_id, new_token

try:
    import tomllib
except ImportError:
    import tomli as tomllib  # type: ignore[no-redef]

TOKEN = new_token(new_id())
TEXTS = [f"token={TOKEN}", f'"{TOKEN}"', f"x\n{TOKEN}\n", f"({TOKEN}).", TOKEN]
NO_TOKENS = [f"{TOKEN}x", f"x{TOKEN}", TOKEN[:-1], TOKEN.upper()]


def pattern(*arguments: str) -> str:
    ran = CliRunner().invoke(cli, ["token", "pattern", *arguments])
    assert ran.exit_code == 0, ran.output
    return ran.output


def check(regex: str, group: int) -> None:
    """Check that a regular expression finds tokens, alone and in texts, and nothing else."""
    for text in TEXTS:
        [found] = [match.group(group) for match in re.finditer(regex, text)]
        assert found == TOKEN
        assert is_well_formed(found)
    assert [text for text in NO_TOKENS if re.search(regex, text)] == []


def test_without_a_format_it_is_a_regular_expression() -> None:
    """The expression matches a token as a whole, and none of the texts that only resemble one."""
    regex = pattern().removesuffix("\n")

    assert re.fullmatch(regex, TOKEN)
    assert [text for text in NO_TOKENS if re.fullmatch(regex, text)] == []


def test_github() -> None:
    """The characters around the secret have fields of their own."""
    fields = dict(line.split(": ", 1) for line in pattern("--format", "github").splitlines())

    # Python spells the end of a text in another way.
    after = fields["After secret"].replace(r"\z", r"\Z")
    check(f"(?:{fields['Before secret']})({fields['Secret format']})(?={after})", 1)


def test_gitleaks() -> None:
    """The format is a rule in TOML. Its keyword is in lower case, because Gitleaks compares it with a text in lower case."""
    [rule] = tomllib.loads(pattern("--format", "gitleaks"))["rules"]

    check(rule["regex"], 1)
    assert rule["id"] == "heliograph-token"
    assert all(keyword in TOKEN.lower() for keyword in rule["keywords"])


def test_trufflehog() -> None:
    """The format is a custom detector in YAML, whose keywords are in each token."""
    [detector] = yaml.safe_load(pattern("--format", "trufflehog"))["detectors"]

    [regex] = detector["regex"].values()
    check(regex, 1)
    assert all(keyword in TOKEN for keyword in detector["keywords"])


@pytest.mark.parametrize("form", [None, "github", "gitleaks", "trufflehog"])
def test_json_has_the_text_and_the_regular_expression(form: str | None) -> None:
    """Every format has this JSON, and so has the command without a format."""
    options = [] if form is None else ["--format", form]
    found = json.loads(pattern(*options, "--json"))

    assert found == {"format": form, "regex": "hgtok_[0-9A-Za-z]{61}", "text": pattern(*options).removesuffix("\n")}
