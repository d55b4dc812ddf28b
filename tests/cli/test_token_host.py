"""The commands of `heliograph token` use files with tokens only, and the telemetry of their environment."""

from __future__ import annotations

import json
import socket
import sqlite3
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import forked
from cli.tokens_cli import TokenCommand
from heliograph import hookimpl
from heliograph.cli.main import cli
from heliograph.hooks.plugins import Plugins
from otlp_receiver import Receiver
from processes import DATASETTE, clean_environment


@pytest.mark.parametrize("command", [["list"], ["show", "0" * 12], ["revoke", "0" * 12], ["verify"]])
def test_only_create_makes_a_file(token_command: TokenCommand, command: list[str]) -> None:
    """A misspelled name does not leave an empty database behind."""
    ran = token_command(*command)

    assert ran.exit_code == 2
    assert "has no tokens" in ran.output
    assert not token_command.file.exists()


@pytest.mark.parametrize("command", [["list"], ["create", "alice"]])
def test_database_of_other_data_gets_no_tables(token_command: TokenCommand, command: list[str]) -> None:
    """Datasette may serve such a database, and everybody can read what it serves."""
    with sqlite3.connect(token_command.file) as connection:
        connection.execute("create table shop (id integer)")
    connection.close()
    before = token_command.file.read_bytes()

    ran = token_command(*command)

    assert ran.exit_code == 2
    assert token_command.file.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"no database"], ids=["empty", "text"])
def test_file_without_tokens(token_command: TokenCommand, content: bytes) -> None:
    """An empty file is a new database; a text is none."""
    token_command.file.write_bytes(content)

    assert token_command("list").exit_code == 2
    assert token_command("create", "alice").exit_code == (2 if content else 0)


def test_tokens_in_memory_are_a_wrong_call() -> None:
    """Tokens in memory would end with the command."""
    ran = CliRunner().invoke(cli, ["token", "create", "alice"], env={"HELIOGRAPH_TOKEN_DATABASE": ":memory:"})

    assert ran.exit_code == 2
    assert "tokens in memory end with their process" in ran.output


def test_folder_that_does_not_exist(tmp_path: Path) -> None:
    """The message about a missing folder is that of the settings."""
    ran = TokenCommand(tmp_path / "no" / "tokens.db")("create", "alice")

    assert ran.exit_code == 2
    assert "does not exist, or cannot be written" in ran.output


def test_internal_database_of_datasette(tmp_path: Path) -> None:
    """The tables are created where Datasette has started, and Datasette accepts the token."""
    pytest.importorskip("datasette")
    command = [*DATASETTE, "--internal", "internal.db", "--get", "/-/actor.json"]
    environment = clean_environment(
        DATASETTE_LOAD_PLUGINS="heliograph", HELIOGRAPH_TOKEN_HANDLERS="database", NO_PROXY="127.0.0.1"
    )
    started = forked.run(command, cwd=tmp_path, env=environment)
    _, token = TokenCommand(tmp_path / "internal.db").issue("alice")

    ran = forked.run([*command, "--token", token], cwd=tmp_path, env=environment)

    assert started.returncode == 0, started.stderr
    assert json.loads(ran.stdout)["actor"]["id"] == "alice", ran.stderr


def test_limit_of_the_configuration_of_datasette(token_command: TokenCommand, tmp_path: Path) -> None:
    """Datasette's own setting counts, and heliograph's in `plugins:`, which also names the file."""
    pytest.importorskip("datasette")
    token_id, token = token_command.issue()
    with sqlite3.connect(token_command.file) as connection:
        connection.execute("update heliograph_tokens set created = created - 60")
    connection.close()
    config = tmp_path / "datasette.yaml"
    ours = {"token_database": str(token_command.file), "token_handlers": "database"}
    config.write_text(json.dumps({"plugins": {"heliograph": ours}, "settings": {"max_signed_tokens_ttl": 50}}))

    def states(*arguments: str) -> list[str]:
        listed = CliRunner().invoke(cli, ["token", "list", "--json", *arguments])
        return [json.loads(line)["state"] for line in listed.output.splitlines()]

    assert states("--config", str(config)) == ["expired"]
    assert token_command("rotate", token_id, "--grace", "0", "-c", config).exit_code == 1
    assert "expired" in token_command("verify", "-c", config, stdin=token).output
    assert states("--database", str(token_command.file)) == ["active"]
    config.write_text("settings: {allow_signed_tokens: false}")
    assert states("--database", str(token_command.file), "-c", str(config)) == ["active"]


@pytest.mark.parametrize(
    "content",
    [
        "settings: {max_signed_tokens_ttl: -1}",
        "settings: {max_signed_tokens_ttl: true}",
        "settings: {max_signed_tokens_ttl: 1h}",
        "plugins: {heliograph: {token_ttl: x}}",
        "plugins: {heliograph: {privacy_key: {$file: missing.txt}}}",
        "[",
        "plugins: 3",
    ],
)
def test_configuration_that_cannot_be_used_is_a_wrong_call(
    token_command: TokenCommand, tmp_path: Path, content: str
) -> None:
    """The command ends with status 2, and without a traceback. A wrong value that Datasette ignores is ignored here as well."""
    pytest.importorskip("datasette")
    token_command.issue()
    (tmp_path / "datasette.yaml").write_text(content)

    ran = token_command("list", "-c", tmp_path / "datasette.yaml")

    assert ran.exit_code == (0 if content == "plugins: 3" else 2), ran.output
    assert "Traceback" not in ran.output


def test_database_that_is_locked_is_a_problem_and_no_verdict(
    token_command: TokenCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 1 would say that a token is not valid. A verification reads, so it does not wait for the lock."""
    token_id, token = token_command.issue()
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **kwargs: connect(*args, **{**kwargs, "timeout": 0}))
    connection = connect(token_command.file, isolation_level=None)
    connection.execute("begin immediate")

    revoked = token_command("revoke", token_id)
    verified = token_command("verify", stdin=token)
    connection.close()

    assert (revoked.exit_code, verified.exit_code) == (2, 0)
    assert "locked" in revoked.output


class BrokenPlugin:
    """A plugin of an installed package whose hook fails."""

    @hookimpl
    def register_events(self) -> list[type]:
        raise RuntimeError("no events today")


def test_installed_plugin_that_fails_is_reported(token_command: TokenCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin that cannot start would miss the events of the tokens, so the command ends."""
    monkeypatch.setattr(Plugins, "load_entry_points", lambda self: self.register(BrokenPlugin()))

    ran = token_command("create", "alice")

    assert ran.exit_code == 2
    assert "no events today" in ran.output


def heliograph_token(folder: Path, *arguments: str, **variables: str) -> str:
    """Run the command in a process of its own, because it sets global providers. Return its standard output."""
    environment = clean_environment(HELIOGRAPH_TOKEN_DATABASE="tokens.db", NO_PROXY="127.0.0.1", **variables)
    ended = forked.run([sys.executable, "-m", "heliograph", "token", *arguments], cwd=folder, env=environment)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_without_an_endpoint_nothing_is_sent_or_reported(tmp_path: Path) -> None:
    """The default endpoint, a server on this machine, is not tried."""
    environment = clean_environment(HELIOGRAPH_TOKEN_DATABASE="tokens.db")

    ended = forked.run(
        [sys.executable, "-m", "heliograph", "token", "create", "a", "--json"], cwd=tmp_path, env=environment
    )

    assert (ended.returncode, ended.stderr) == (0, "")


def test_backend_that_never_answers_does_not_fail_the_command(tmp_path: Path) -> None:
    """The token is printed, and the command ends, after its telemetry had its time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        issued = heliograph_token(tmp_path, "create", "alice", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)

    assert issued.startswith("hgtok_")


def test_commands_that_only_read_send_nothing(tmp_path: Path) -> None:
    """A command that only reads does not wait for a backend, either."""
    with Receiver() as receiver:
        issued = json.loads(heliograph_token(tmp_path, "create", "alice", "--json"))
        for arguments in (["list"], ["show", issued["id"]]):
            assert heliograph_token(tmp_path, *arguments, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
        raw = receiver.raw()

    assert raw == b""


def test_commands_send_their_telemetry_and_never_a_token(tmp_path: Path) -> None:
    """The span of a verification arrives before the command ends."""
    with Receiver() as receiver:
        [issued] = [
            json.loads(
                heliograph_token(tmp_path, "create", "alice", "--json", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
            )
        ]
        ended = run_verify(tmp_path, issued["token"], receiver.endpoint)
        spans = [span for span in receiver.spans() if span.name == "token.verify"]
        raw = receiver.raw()

    assert ended == 0
    assert [span.attributes["heliograph.token.result"] for span in spans] == ["valid"]
    assert [span.attributes["heliograph.token.id"] for span in spans] == [issued["id"]]
    assert issued["token"][18:61].encode() not in raw


def run_verify(folder: Path, token: str, endpoint: str) -> int:
    """Verify a token that a file has as its only line."""
    (folder / "token.txt").write_text(f"{token}\n")
    command = [sys.executable, "-m", "heliograph", "token", "verify"]
    environment = clean_environment(
        HELIOGRAPH_TOKEN_DATABASE="tokens.db", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, NO_PROXY="127.0.0.1"
    )
    return forked.run(command, cwd=folder, env=environment, stdin=folder / "token.txt").returncode


def test_commands_track_the_events_of_tokens(tmp_path: Path) -> None:
    """Each event has arrived when its command ends, with the actor of `--by` and the token's id."""
    with Receiver() as receiver:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint}
        issued = json.loads(heliograph_token(tmp_path, "create", "alice", "--json", "--by", "root", **variables))
        assert run_verify(tmp_path, issued["token"], receiver.endpoint) == 0
        heliograph_token(tmp_path, "rotate", issued["id"], "--grace", "0", "--by", "root", **variables)
        assert run_verify(tmp_path, issued["token"], receiver.endpoint) == 1
        heliograph_token(tmp_path, "revoke", "--leaked", "token.txt", "--by", "root", **variables)
        heliograph_token(tmp_path, "revoke", issued["id"], "--by", "root", **variables)
        records, raw = receiver.logs(), receiver.raw()
        creations = [span for span in receiver.spans() if span.name == "token.create"]

    assert [(record.event_name, record.attributes.get("user.id")) for record in records] == [
        ("heliograph.token_created", "root"),
        ("heliograph.token_first_used", "alice"),
        ("heliograph.token_rotated", "root"),
        ("heliograph.token_rejected", None),
        ("heliograph.token_revoked", "root"),
    ]
    assert {record.attributes["heliograph.token.id"] for record in records} == {issued["id"]}
    assert [span.attributes["heliograph.token.id"] for span in creations] == [issued["id"]]
    assert issued["token"][18:61].encode() not in raw
