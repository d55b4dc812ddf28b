"""`heliograph token` creates, lists, shows, restricts and rotates the tokens of a file."""

from __future__ import annotations

import sqlite3
import stat
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.tokens_cli import TokenCommand
from heliograph.cli.main import cli
from processes import clean_environment, run


def test_create_prints_the_token_alone_and_the_file_has_its_hash_only(token_command: TokenCommand) -> None:
    """A program reads the token from the standard output; the words for people are on the standard error."""
    ran = token_command("create", "alice", "--label", "ci")

    token, sentence = sorted(ran.output.splitlines(), key=lambda line: not line.startswith("hgtok_"))
    assert ran.exit_code == 0
    assert len(token) == 67
    assert sentence == f"The token with the id {token[6:18]} is shown only this once."
    assert token[18:61].encode() not in token_command.file.read_bytes()
    assert stat.S_IMODE(token_command.file.stat().st_mode) == 0o600
    assert token_command.result(token) == "valid"


def test_create_with_all_options(token_command: TokenCommand) -> None:
    """Actions of the core are abbreviated, as in Datasette; an unknown one is kept, and reported."""
    ran = token_command(
        *("create", "alice", "--label", "ci", "--expires-after", "30d", "--unused-after", "15m"),
        *("--allow", "view-instance", "--allow-database", "shop", "insert-row", "--allow-resource", "a", "b", "fly"),
    )
    [shown] = token_command.json("list")

    assert ran.exit_code == 0
    assert "Note: 'fly' is not an action of Datasette's core." in ran.output
    assert shown["restrictions"] == {"a": ["vi"], "d": {"shop": ["ir"]}, "r": {"a": {"b": ["fly"]}}}
    assert (shown["actor_id"], shown["label"], shown["state"]) == ("alice", "ci", "active")
    assert shown["unused_after"] == 900
    assert (shown["expires"] > shown["created"], shown["last_used"], shown["revoked"]) == (True, None, None)


@pytest.mark.parametrize(
    ("time", "seconds"), [("600", 600), ("600s", 600), ("10m", 600), ("2h", 7200), ("1d", 86_400), ("1w", 604_800)]
)
def test_times_have_units(token_command: TokenCommand, time: str, seconds: int) -> None:
    """A number without a unit is seconds."""
    token_command.issue("alice", "--unused-after", time)

    assert [each["unused_after"] for each in token_command.json("list")] == [seconds]


@pytest.mark.parametrize("time", ["", "-1", "1y", "1.5", "1 d", "٣", "9" * 13, "0", "299", "9999w"])
def test_times_that_cannot_be_used_are_wrong_calls(token_command: TokenCommand, time: str) -> None:
    """A time of another form, or out of range, is refused, without a traceback."""
    ran = token_command("create", "alice", f"--unused-after={time}")

    assert ran.exit_code == 2
    assert "Traceback" not in ran.output


def test_list_has_one_line_for_each_the_newest_first(token_command: TokenCommand) -> None:
    """A label cannot move the cursor of a terminal."""
    first, token = token_command.issue("alice", "--label", "\x1b[2Jx\ny")
    second, _ = token_command.issue("bob")
    token_command("verify", stdin=token)
    token_command("revoke", second)

    lines = token_command("list").output.splitlines()
    assert (lines[0][:21], lines[1][:20]) == (f"{second}  revoked", f"{first}  active")
    assert "never used  bob" in lines[0]
    assert lines[1].endswith(r"alice  \x1b[2Jx\ny")
    assert "  used 2" in lines[1]
    assert lines[2] == "2 tokens"


def test_list_selects_by_actor_and_state(token_command: TokenCommand) -> None:
    """The exit status is 1 if there is none."""
    first, _ = token_command.issue("alice")
    second, _ = token_command.issue("bob")
    token_command("revoke", second)

    assert [each["id"] for each in token_command.json("list", "--actor", "alice")] == [first]
    assert [each["id"] for each in token_command.json("list", "--state", "revoked")] == [second]
    assert token_command.json("list", "--state", "expired", status=1) == []
    assert token_command("list", "--actor", "carol").exit_code == 1


def test_show_prints_everything_about_one_token(token_command: TokenCommand) -> None:
    """People see only the fields that are set."""
    token_id, _ = token_command.issue("alice", "--label", "ci", "--allow", "view-instance")

    [as_json] = token_command.json("show", token_id)
    lines = token_command("show", token_id).output.splitlines()
    assert lines == [
        *(f"id: {token_id}", "state: active", "actor_id: alice", "label: ci", 'restrictions: {"a": ["vi"]}'),
        f"created: {as_json['created']}",
        f"secret: created {as_json['created']}, first used never",
    ]


def test_show_prints_the_times_of_the_secrets_and_never_a_secret(token_command: TokenCommand) -> None:
    """The newest secret is the first."""
    token_id, first = token_command.issue()
    [second] = token_command.json("rotate", token_id, "--grace", "0")
    [third] = token_command.json("rotate", token_id, "--grace", "1h")
    token_command("verify", stdin=second["token"])

    [as_json] = token_command.json("show", token_id)
    shown = token_command("show", token_id).output
    lines = [line for line in shown.splitlines() if line.startswith("secret: ")]
    newest, replaced, cut = as_json["secrets"]
    assert (newest["first_used"], newest["ends"], cut["ends"]) == (None, None, "at once")
    assert replaced["created"] <= replaced["first_used"] < replaced["ends"]
    assert lines == [
        f"secret: created {newest['created']}, first used never",
        f"secret: created {replaced['created']}, first used {replaced['first_used']}, replaced {replaced['ends']}",
        f"secret: created {cut['created']}, first used never, replaced at once",
    ]
    for token in (first, second["token"], third["token"]):
        assert token[18:] not in shown


@pytest.mark.parametrize("command", [["show"], ["rotate", "--grace", "0"], ["restrict", "--allow", "view-instance"]])
def test_unknown_id_ends_with_status_1(token_command: TokenCommand, command: list[str]) -> None:
    """The message says that there is no such token."""
    token_command.issue()

    ran = token_command(*command, "000000000000")

    assert ran.exit_code == 1
    assert "there is no token with the id '000000000000'" in ran.output


@pytest.mark.parametrize("command", [["show"], ["rotate", "--grace", "0"], ["restrict"], ["revoke"]])
def test_token_in_place_of_its_id_is_not_shown(token_command: TokenCommand, command: list[str]) -> None:
    """People paste the whole token. No message repeats it."""
    _, token = token_command.issue()

    ran = token_command(*command, token)

    assert ran.exit_code == 2
    assert token[18:] not in ran.output
    assert "an id has 12 letters and digits" in ran.output


def test_rotate_cuts_at_once_or_after_the_first_use(token_command: TokenCommand) -> None:
    """The new token is printed once, and has the id of the old one."""
    token_id, first = token_command.issue()

    [second] = token_command.json("rotate", token_id, "--grace", "1h")
    assert second["id"] == token_id
    assert [token_command.result(token) for token in (first, second["token"])] == ["valid", "valid"]

    ran = token_command("rotate", token_id, "--grace", "0")
    third = next(line for line in ran.output.splitlines() if line.startswith("hgtok_"))
    assert [token_command.result(token) for token in (first, second["token"], third)] == [
        *("revoked", "revoked", "valid")
    ]


def test_rotate_refuses_a_token_that_is_revoked(token_command: TokenCommand) -> None:
    """No new token is printed, which nobody could use."""
    token_id, _ = token_command.issue()
    token_command("revoke", token_id)

    ran = token_command("rotate", token_id, "--grace", "0")

    assert ran.exit_code == 1
    assert "Token has been revoked" in ran.output


def test_restrict_makes_a_token_narrower_and_never_wider(token_command: TokenCommand) -> None:
    """A wider restriction is a wrong call, and so is none at all."""
    token_id, token = token_command.issue("alice", "--allow", "view-instance", "--allow", "view-table")

    assert token_command.json("restrict", token_id, "--allow", "view-table") == [
        {"id": token_id, "restrictions": {"a": ["vt"]}}
    ]
    assert token_command("restrict", token_id, "--allow", "drop-table").exit_code == 2
    assert token_command("restrict", token_id).exit_code == 2
    ran = token_command("restrict", token_id, "--allow-database", "shop", "view-table")
    assert ran.output == f'{token_id} allows {{"d": {{"shop": ["vt"]}}}}\n'
    assert "view-table" not in token_command("verify", stdin=token).output


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_token_that_cannot_be_printed_is_named_by_its_id(token_command: TokenCommand) -> None:
    """Nobody has read it, so somebody has to revoke or rotate it."""
    command = f"{sys.executable} -m heliograph token create alice --database {token_command.file} > /dev/full"

    ended = run(["sh", "-c", command], cwd=token_command.file.parent, env=clean_environment())

    [shown] = token_command.json("list")
    assert ended.returncode == 2
    assert f"the token with the id {shown['id']} exists, but could not be printed" in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [["create", "\udcff"], ["create", "a", "--label", "\udcff"], ["list", "--actor", "\udcff"], ["create", ""]],
)
def test_text_that_cannot_be_stored_is_a_wrong_call(token_command: TokenCommand, arguments: list[str]) -> None:
    """Arguments may have any bytes. Those that a database cannot store are refused, without a traceback."""
    token_command.issue()

    ran = token_command(*arguments)

    assert ran.exit_code == 2
    assert "Traceback" not in ran.output


def test_who_did_it_is_noted(token_command: TokenCommand) -> None:
    """The option `--by` names a person, or a program."""
    token_id, _ = token_command.issue()

    token_command("revoke", token_id, "--by", "root")

    [shown] = token_command.json("show", token_id)
    assert shown["revoked_by"] == "root"


def test_file_is_the_one_of_the_settings_or_of_the_option(tmp_path: Path) -> None:
    """Without either, the message names both ways."""
    variables = {"HELIOGRAPH_TOKEN_DATABASE": str(tmp_path / "settings.db"), "HELIOGRAPH_TOKEN_HANDLERS": "database"}
    runner = CliRunner()
    created = runner.invoke(cli, ["token", "create", "alice"], env=variables)
    listed = runner.invoke(cli, ["token", "list", "--database", str(tmp_path / "settings.db")])
    without = runner.invoke(cli, ["token", "list"], env={"HELIOGRAPH_TOKEN_DATABASE": None})

    assert (created.exit_code, listed.exit_code, without.exit_code) == (0, 0, 2)
    assert "--database FILE, or set HELIOGRAPH_TOKEN_DATABASE" in without.output


def test_help_ends_with_status_0_and_a_wrong_call_with_2(token_command: TokenCommand) -> None:
    """The commands about tokens have the exit statuses of all others."""
    assert token_command("create", "--help").exit_code == 0
    assert token_command("create").exit_code == 2
    assert token_command("create", "").exit_code == 2


def test_file_that_is_written_by_somebody_else_does_not_crash_the_list(token_command: TokenCommand) -> None:
    """A time that no calendar has, and escape sequences."""
    token_command.issue()
    with sqlite3.connect(token_command.file) as connection:
        connection.execute("update heliograph_tokens set created = 1e300, actor_id = ?", ["\x1b]0;x\x07"])
    connection.close()

    ran = token_command("list")

    assert ran.exit_code == 0
    assert "created 1e+300" in ran.output
    assert r"\x1b]0;x\x07" in ran.output
