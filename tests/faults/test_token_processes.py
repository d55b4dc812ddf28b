"""Four processes work on the tokens of one file, and three of them are killed in the middle."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from backends import wait_until
from cli.tokens_cli import TokenCommand
from heliograph.tokens.stored.token_text import hash_of
from processes import program_environment

KILLED = 3
STEPS_BEFORE_KILL = 4

# Runs one command after the other, and prints the JSON of each. The numbers make the orders of the processes different.
PROGRAM = """
import json, random, sys
from pathlib import Path
from cli.tokens_cli import TokenCommand

command, rounds = TokenCommand(Path("tokens.db")), json.loads(sys.argv[1])
random.Random(int(sys.argv[2])).shuffle(rounds)
for name, arguments, stdin in rounds:
    ran = command(name, "--json", *arguments, stdin=stdin)
    print(ran.exit_code, ran.stdout.strip(), flush=True)
"""


def run_and_kill(folder: Path, rounds: list[tuple[str, list[str], str]]) -> list[list[tuple[int, Any]]]:
    """Run the commands in four processes, and kill three of them when each has ended some. Return the outputs of each."""
    logs = [folder / f"{number}.log" for number in range(KILLED + 1)]
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(start(folder, rounds, number, stack.enter_context(log.open("wb"))))
            for number, log in enumerate(logs)
        ]
        stack.callback(lambda: [process.kill() for process in processes])
        for number in range(KILLED):
            wait_until(lambda log=logs[number]: len(outputs(log)) >= STEPS_BEFORE_KILL, timeout_seconds=120)
            # Not in between of two commands: each process is somewhere else in its own.
            time.sleep(0.003 * number)
            processes[number].kill()
        assert processes[KILLED].wait(300) == 0
    assert len(outputs(logs[KILLED])) == len(rounds)
    assert any(len(outputs(log)) < len(rounds) for log in logs[:KILLED])
    return [outputs(log) for log in logs]


def start(folder: Path, rounds: list[tuple[str, list[str], str]], number: int, log: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, json.dumps(rounds), str(number)],
        cwd=folder,
        env=program_environment(),
        stdout=log,
        stderr=log,
    )


def outputs(log: Path) -> list[tuple[int, Any]]:
    """Return the exit status and the JSON of each command that ended. A killed process may have written half a line."""
    lines = log.read_text().split("\n")[:-1]
    return [(int(status), json.loads(text or "null")) for status, text in (line.split(" ", 1) for line in lines)]


def query(file: Path, sql: str, *parameters: object) -> list[Any]:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return connection.execute(sql, parameters).fetchall()


def test_each_token_is_revoked_once(token_command: TokenCommand) -> None:
    """Every command that ended has revoked its token, and one of all processes says that it was the first."""
    issued = [token_command.issue(f"actor-{number}") for number in range(20)]

    printed = run_and_kill(token_command.file.parent, [("revoke", [token_id], "") for token_id, _ in issued])

    firsts = Counter(found["id"] for each in printed for _, found in each if found["outcome"] == "revoked")
    assert {status for each in printed for status, _ in each} == {0}
    assert set(firsts.values()) == {1}
    # A process that was killed after its commit, and before its output, has not said so.
    assert len(issued) - len(firsts) <= KILLED
    assert {token_command.result(token) for _, token in issued} == {"revoked"}
    assert query(token_command.file, "pragma integrity_check") == [("ok",)]


def test_rotated_tokens_have_one_newest_secret_and_at_most_two_that_live(token_command: TokenCommand) -> None:
    """Every new token that was printed is in the file, and those that were replaced are rejected."""
    issued = [token_command.issue(f"actor-{number}") for number in range(3)]
    rounds = [
        ("rotate", [token_id, "--grace", grace], "") for token_id, _ in issued for grace in ("0", "1h", "1h", "0", "1h")
    ]

    printed = run_and_kill(token_command.file.parent, rounds)

    new = [found["token"] for each in printed for _, found in each]
    assert {status for each in printed for status, _ in each} == {0}
    assert len(set(new)) == len(new)
    for token in new:
        assert query(token_command.file, "select 1 from heliograph_token_secrets where hash = ?", hash_of(token))
    for token_id, _ in issued:
        ends = query(token_command.file, "select ends from heliograph_token_secrets where token_id = ?", token_id)
        assert sum(end is None for (end,) in ends) == 1
        assert sum(end is None or end > time.time() for (end,) in ends) <= 2
        own = [token for token in new if token[6:18] == token_id]
        assert len(ends) <= 1 + len(own) + KILLED
        assert Counter(token_command.result(token) for token in own)["valid"] <= 2
    assert query(token_command.file, "pragma integrity_check") == [("ok",)]


def test_revoked_token_is_not_revived_by_a_rotation(token_command: TokenCommand) -> None:
    """A rotation that comes later ends with status 1, and one at the same moment gives a token that is revoked as well."""
    issued = [token_command.issue(f"actor-{number}") for number in range(4)]
    rounds = [
        step
        for token_id, _ in issued
        for step in [("rotate", [token_id, "--grace", "1h"], "")] * 3 + [("revoke", [token_id], "")]
    ]

    printed = run_and_kill(token_command.file.parent, rounds)

    new = [found["token"] for each in printed for _, found in each if found and "token" in found]
    assert {status for each in printed for status, _ in each} == {0, 1}
    assert {token_command.result(token) for token in [*new, *(token for _, token in issued)]} == {"revoked"}
    assert query(token_command.file, "pragma integrity_check") == [("ok",)]


def test_first_use_begins_the_grace_time_once(token_command: TokenCommand) -> None:
    """Whichever process is the first, the old secret ends the grace time after the first use, as both are one write."""
    pairs = []
    for number in range(15):
        token_id, old = token_command.issue(f"actor-{number}")
        [new] = token_command.json("rotate", token_id, "--grace", "1h")
        pairs.append((old, new["token"]))

    printed = run_and_kill(token_command.file.parent, [("verify", [], new) for _, new in pairs])

    assert {found["result"] for each in printed for _, found in each} == {"valid"}
    for old, new in pairs:
        first_used = query(
            token_command.file, "select first_used from heliograph_token_secrets where hash = ?", hash_of(new)
        )
        ends = query(token_command.file, "select ends from heliograph_token_secrets where hash = ?", hash_of(old))
        assert ends == [(first_used[0][0] + 3600,)]
    assert query(token_command.file, "pragma integrity_check") == [("ok",)]
