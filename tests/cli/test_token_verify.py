"""`heliograph token verify` reads a token from its standard input, and prints the verdict but never the token."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys

import pytest

from cli.tokens_cli import TokenCommand
from heliograph import TokenHandler, TokenInvalid, hookimpl
from heliograph.hooks.plugins import Plugins
from heliograph.tokens.stored.token_text import new_token
from processes import clean_environment, run


def test_valid_token(token_command: TokenCommand) -> None:
    """The command prints the id of the token, its actor, its restrictions and its end."""
    token_id, token = token_command.issue("alice", "--allow", "view-instance", "--expires-after", "1h")

    [verdict] = token_command.json("verify", "-", stdin=token)
    ran = token_command("verify", stdin=token)

    expires = verdict.pop("expires")
    assert verdict == {
        "result": "valid",
        "token_id": token_id,
        "actor_id": "alice",
        "restrictions": {"a": ["vi"]},
    }
    assert ran.output == f'valid  token: {token_id}  actor: alice  allows: {{"a": ["vi"]}}  expires: {expires}\n'


def test_plain_token_of_a_signed_handler(token_command: TokenCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other handlers of the settings are asked, too. Its text is never shown."""
    from heliograph import Host, Settings

    token_command.issue()
    with Host(Settings(secret="key")) as host:
        signed = host.call(host.create_token, "alice")
    monkeypatch.setenv("HELIOGRAPH_SECRET", "key")

    ran = token_command("verify", stdin=signed)

    assert ran.output.startswith("valid  token: ")
    assert "actor: alice" in ran.output
    assert signed not in ran.output


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_end_of_the_line_is_no_part_of_the_token(token_command: TokenCommand, end: str) -> None:
    """The line may end as `echo` ends it, or not at all."""
    _, token = token_command.issue()

    assert token_command("verify", stdin=token + end).exit_code == 0


def test_rejected_tokens(token_command: TokenCommand) -> None:
    """The id is printed of a token that the database knows, and not the one that an unknown text claims."""
    token_id, token = token_command.issue()
    token_command("revoke", token_id)
    unknown = new_token(token_id)

    assert token_command.json("verify", stdin=token, status=1) == [{"result": "revoked", "token_id": token_id}]
    assert token_command("verify", stdin=token).output == f"revoked  token: {token_id}\n"
    assert token_command.json("verify", stdin=unknown, status=1) == [{"result": "invalid"}]


@pytest.mark.parametrize(
    ("given", "result"),
    [
        (b"", "unrecognized"),
        (b"\n", "unrecognized"),
        (b"hgtok_", "invalid"),
        (b"hgtok_" + b"A" * 61, "invalid"),
        (b"hgtok_\x00\xff", "invalid"),
        (b"\xff\xfe\x00", "unrecognized"),
        (b"hgtok_" + b"A" * 1_000_000, "invalid"),
        (b"x" * 1_000_000, "unrecognized"),
        ("hgtok_é".encode(), "invalid"),
    ],
    ids=["empty", "newline", "prefix", "checksum", "nul", "binary", "long", "long-other", "non-ascii"],
)
def test_bad_input_ends_in_a_result(token_command: TokenCommand, given: bytes, result: str) -> None:
    """The status is 1, and the output has nothing of the text."""
    token_command.issue()

    assert token_command.json("verify", stdin=given, status=1) == [{"result": result}]


@pytest.mark.parametrize("arguments", [["TOKEN"], ["-", "TOKEN"], ["--", "TOKEN"]])
def test_token_as_argument_is_refused_and_not_shown(token_command: TokenCommand, arguments: list[str]) -> None:
    """All users of a machine see the arguments of a process."""
    _, token = token_command.issue()

    ran = token_command("verify", *(token if each == "TOKEN" else each for each in arguments))

    assert ran.exit_code == 2
    assert token[18:] not in ran.output
    assert "must not be an argument" in ran.output


def test_closed_standard_input_is_a_wrong_call(token_command: TokenCommand) -> None:
    """Without a standard input there is no token to read, and the message says so."""
    token_command.issue()
    command = f"{sys.executable} -m heliograph token verify --database {token_command.file} <&-"

    ended = run(["sh", "-c", command], cwd=token_command.file.parent, env=clean_environment())

    assert ended.returncode == 2
    assert "the standard input is closed" in ended.stderr


class Careless(TokenHandler):
    """A handler whose messages quote the token."""

    name = "careless"

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def verify_token(self, datasette: object, token: str) -> None:
        self.error.args = (f"cannot read {token}",)
        raise self.error


@pytest.mark.parametrize(
    ("error", "status", "output"),
    [(TokenInvalid("x"), 1, "invalid\n"), (RuntimeError("x"), 2, "error  error: builtins.RuntimeError\n")],
)
def test_message_of_a_plugin_is_not_shown(
    token_command: TokenCommand, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, output: str
) -> None:
    """A message of a plugin may quote the token. A handler that breaks is an error, and no verdict."""
    token_command.issue()

    class Plugin:
        @hookimpl(tryfirst=True)
        def register_token_handler(self) -> TokenHandler:
            return Careless(error)

    monkeypatch.setattr(Plugins, "load_entry_points", lambda self: self.register(Plugin()))

    ran = token_command("verify", stdin="other-secret")

    assert (ran.exit_code, ran.output) == (status, output)


def test_token_that_is_typed_is_not_echoed(token_command: TokenCommand) -> None:
    """On a terminal, it asks for the token as for a password."""
    _, token = token_command.issue()
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "heliograph", "token", "verify", "--database", str(token_command.file)]
    with subprocess.Popen(
        command, env=clean_environment(), stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    ) as process:
        os.close(terminal)
        try:
            shown = read_until(controller, b"Token: ")  # the echo is off by now
            os.write(controller, token.encode() + b"\n")
            shown += read_until(controller, b"actor: alice")
            status = process.wait(60)
        finally:
            process.kill()
            os.close(controller)

    assert status == 0
    assert token.encode() not in shown


def read_until(file: int, text: bytes) -> bytes:
    """Read what a terminal shows until it shows a text."""
    shown = b""
    while text not in shown:
        is_readable, _, _ = select.select([file], [], [], 60)
        assert is_readable, shown
        shown += os.read(file, 1024)
    return shown
