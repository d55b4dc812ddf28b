"""`heliograph token revoke` ends tokens by id, of an actor, of everybody, or of a file that leaked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.tokens_cli import TokenCommand
from heliograph.tokens.stored.token_text import new_token


def test_by_id(token_command: TokenCommand) -> None:
    """A second time changes nothing, and is no failure: the token is revoked."""
    first, token = token_command.issue()
    second, _ = token_command.issue()

    assert token_command.json("revoke", first, second, first) == [
        {"id": first, "outcome": "revoked"},
        {"id": second, "outcome": "revoked"},
    ]
    assert token_command("revoke", first).output == f"{first}  revoked before\n"
    assert token_command.result(token) == "revoked"


def test_unknown_ids_end_with_status_1_and_the_others_are_revoked(token_command: TokenCommand) -> None:
    """One misspelled id does not save the next token."""
    first, _ = token_command.issue()

    assert token_command.json("revoke", "0" * 12, first, status=1) == [
        {"id": "0" * 12, "outcome": "not found"},
        {"id": first, "outcome": "revoked"},
    ]


def test_all_of_an_actor(token_command: TokenCommand) -> None:
    """The tokens of others stay valid. The status is 1 if nothing was revoked."""
    tokens = [token_command.issue("alice")[1] for _ in range(2)]
    _, other = token_command.issue("bob")

    assert token_command.json("revoke", "--actor", "alice") == [{"revoked": 2}]
    assert token_command("revoke", "--actor", "alice").exit_code == 1
    assert token_command("revoke", "--actor", "").exit_code == 1
    assert [token_command.result(token) for token in (*tokens, other)] == ["revoked", "revoked", "valid"]


def test_all_of_everybody_after_a_confirmation(token_command: TokenCommand) -> None:
    """Without an answer, no token is revoked."""
    _, token = token_command.issue()

    assert token_command("revoke", "--all").exit_code == 1
    assert token_command.result(token) == "valid"
    ran = token_command("revoke", "--all", "--yes")
    assert (ran.exit_code, ran.output) == (0, "1 token revoked.\n")
    assert token_command.result(token) == "revoked"


@pytest.mark.parametrize("arguments", [[], ["0" * 12, "--all"], ["--all", "--actor", "a"], ["--leaked", "-", "--all"]])
def test_one_way_to_name_them(token_command: TokenCommand, arguments: list[str]) -> None:
    """To name no tokens, or to name them in two ways, is a wrong call."""
    token_command.issue()

    assert token_command("revoke", *arguments).exit_code == 2


def test_leaked_tokens_are_found_by_their_hash(token_command: TokenCommand, tmp_path: Path) -> None:
    """A text that claims an id it does not have revokes nothing, and its id is not shown. No token is shown."""
    known, token = token_command.issue()
    other, safe = token_command.issue()
    leak = tmp_path / "leak.txt"
    leak.write_text(f"{token}\n{new_token(other)}\nhgtok_{'A' * 61}\n")

    ran = token_command("revoke", "--leaked", leak)

    assert ran.exit_code == 0
    assert sorted(ran.output.splitlines()) == sorted(
        [f"{known}  revoked", "2 tokens in the file: 1 revoked, 1 not found"]
    )
    assert token_command.result(safe) == "valid"
    assert token_command.json("revoke", "--leaked", leak) == [{"id": known, "outcome": "revoked before"}]


def test_payload_of_github_from_the_standard_input(token_command: TokenCommand) -> None:
    """The payload of GitHub's secret scanning is an array of objects with a token each."""
    token_id, token = token_command.issue()
    payload = [{"token": token, "type": "heliograph_token", "url": "https://example.com", "source": "content"}]

    assert token_command.json("revoke", "--leaked", "-", stdin=json.dumps(payload)) == [
        {"id": token_id, "outcome": "revoked"}
    ]


@pytest.mark.parametrize("content", ["", "no tokens", f"{new_token('0' * 12)}\n"])
def test_nothing_that_is_known_ends_with_status_1(token_command: TokenCommand, content: str) -> None:
    """A file without a known token revokes nothing, and the exit status says so."""
    token_command.issue()

    assert token_command("revoke", "--leaked", "-", stdin=content).exit_code == 1


def test_leaked_secret_that_is_replaced_already_does_not_end_the_new_one(token_command: TokenCommand) -> None:
    """Reports of a leak come again, after the token was rotated. A secret that still lives ends its token."""
    token_id, first = token_command.issue()
    [second] = token_command.json("rotate", token_id, "--grace", "0")

    assert token_command.json("revoke", "--leaked", "-", stdin=first) == [
        {"id": token_id, "outcome": "replaced before"}
    ]
    assert token_command.result(second["token"]) == "valid"

    token_command.json("rotate", token_id, "--grace", "1d")
    assert token_command.json("revoke", "--leaked", "-", stdin=second["token"]) == [
        {"id": token_id, "outcome": "revoked"}
    ]


def test_leaked_file_that_cannot_be_read(token_command: TokenCommand, tmp_path: Path) -> None:
    """A missing file is a wrong call."""
    token_command.issue()

    assert token_command("revoke", "--leaked", tmp_path / "missing").exit_code == 2
