"""`heliograph demo` shows the telemetry of a small program beside its code, and reports if everything arrived."""

from __future__ import annotations

import inspect
import json
import os
import re
import shlex
import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import forked
from backends import REPOSITORY
from heliograph import __version__
from heliograph.cli import demo as command
from heliograph.cli.main import cli
from heliograph.demo import forum
from heliograph.demo.chapter import Chapter, Count
from heliograph.receiver.store import Store
from processes import clean_environment
from processes import run as run_process
from receiver.requests import log_request


def run(*arguments: str) -> Result:
    """Run a command, and return its output and exit status."""
    return CliRunner().invoke(cli, arguments)


def test_version_option() -> None:
    """`heliograph --version` prints the version of the package."""
    assert __version__ in run("--version").output


class Demo:
    """A demo that was run twice in a process of its own, with settings of the caller that must not matter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "heliograph-demo"
        environ = clean_environment(
            OTEL_SDK_DISABLED="true",
            OTEL_LOGS_EXPORTER="nonsense",
            HELIOGRAPH_SIGNALS="nonsense",
            HTTP_PROXY="http://127.0.0.1:9",  # nothing listens there
            http_proxy="http://127.0.0.1:9",
            PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        )
        for _ in range(2):
            self.ran = forked.run([sys.executable, "-m", "heliograph", "demo"], cwd=folder, env=environ)
        self.output = self.ran.stdout
        self.environ = environ

    def names(self) -> list[str]:
        with closing(sqlite3.connect(self.folder / "events.db")) as connection:
            return [name for (name,) in connection.execute("select event_name from events where event_name != ''")]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return Demo(tmp_path_factory.mktemp("demo"))


def test_everything_arrives(ran: Demo) -> None:
    """Each number that the program reported is the one that was found; an earlier demo was replaced."""
    assert (ran.ran.returncode, ran.ran.stderr) == (0, "")
    counts = dict(re.findall(r"^(\S.*?)  +(\d+ +\d+)$", ran.output, flags=re.MULTILINE))
    assert {what: numbers.split() for what, numbers in counts.items()} == {
        "private values": ["0", "0"],
        "invalid events, set aside": ["1", "1"],
        "posts that were deleted with the token": ["2", "2"],
        "uses of the token after its end": ["1", "1"],
        "events": ["9", "9"],
        "span events": ["1", "1"],
        "operations on tokens": ["4", "4"],
        "flush of the exporters": ["1", "1"],
        "events that waited in the outbox": ["500", "500"],
        "events of the program that was killed": ["500", "500"],
    }
    assert "Everything arrived." in ran.output
    names = ran.names()
    assert names.count("forum.import_post") == 500
    assert sorted(set(names)) == [
        "forum.ban_user",
        "forum.cast_vote",
        "forum.delete_post",
        "forum.import_post",
        "forum.sign_up",
        "heliograph.token_created",
        "heliograph.token_first_used",
        "heliograph.token_rejected",
        "heliograph.token_revoked",
    ]


def test_code_is_beside_what_arrived(ran: Demo) -> None:
    """The code is that of the program, line by line, and no line has more than 100 columns."""
    halves = [line.partition("│") for line in ran.output.splitlines()]
    left = [before.rstrip() for before, _, _ in halves]
    right = "\n".join(after.strip() for _, between, after in halves if between)
    for shown in (forum.ban, forum.sign_up, forum.vote, forum.use_token, forum.import_posts, *forum.EVENTS):
        code = inspect.getsource(shown).splitlines()
        assert any(left[start : start + len(code)] == code for start in range(len(left)))
    for part in (
        'forum.sign_up.email = "<masked>"',
        "constraint-violated: points",
        "token.verify: valid (ada)",
        "token.verify: revoked",
        "500 events are tracked, 0 arrive",
        "the program is ended by SIGKILL",
        "500 of 500 events have arrived",
    ):
        assert part in right
    assert max(map(len, ran.output.splitlines())) <= 100
    assert "\x1b" not in ran.output


def test_the_printed_command_opens_it(ran: Demo) -> None:
    """Datasette opens the folder of the demo, with its queries."""
    opening = shlex.split(ran.output.splitlines()[-1])
    opened = run_process(
        [*opening, "--get", "/events/events_by_name.json?_shape=array"],
        cwd=ran.folder.parent,
        env=clean_environment(PATH=ran.environ["PATH"], DATASETTE_LOAD_PLUGINS="heliograph"),
    )

    assert opening == ["datasette", "heliograph-demo"]
    assert opened.returncode == 0, opened.stderr
    assert {"name": "forum.import_post", "log_records": 500}.items() <= json.loads(opened.stdout)[0].items()


def cells(output: str) -> list[str]:
    """Return the parts of the lines, sorted, without what differs between two runs: numbers, ids, and the order of operations."""
    for token in re.findall(r"token (\S{12})$", output, flags=re.MULTILINE):
        output = output.replace(token, "ID")
    parts = re.sub(r"\d[\d.:]*", "0", output).replace("│", "\n").splitlines()
    return sorted(stripped for part in parts if (stripped := " ".join(part.split())))


def test_the_picture_of_the_readme_is_true(ran: Demo) -> None:
    """The picture, which `python docs/generate.py --picture` draws, shows the output of the demo."""
    picture = (REPOSITORY / "docs" / "demo.svg").read_text(encoding="utf-8")
    lines: dict[float, str] = {}
    for place, text in re.findall(
        r'<text class="[^"]*-r\d+" x="[^"]*" y="([^"]*)"[^>]*>(.*?)</text>', picture, re.DOTALL
    ):
        lines[float(place)] = lines.get(float(place), "") + unescape(text).rstrip("\n")

    assert cells("\n".join(lines[place].replace("\xa0", " ").rstrip() for place in sorted(lines))) == cells(ran.output)


@pytest.mark.parametrize("content", [b"my only copy", b"", b"x" * 5000])
def test_demo_does_not_replace_other_files(tmp_path: Path, content: bytes) -> None:
    """The command fails, and the message names the file and the option."""
    path = tmp_path / "events.db"
    path.write_bytes(content)

    ran = run("demo", "--database", str(tmp_path))

    assert ran.exit_code == 1
    assert f"{path} is not from an earlier demo" in ran.output
    assert "--database" in ran.output
    assert path.read_bytes() == content


def test_demo_does_not_replace_the_telemetry_of_other_programs(tmp_path: Path) -> None:
    """A folder of `heliograph tail`, and the SQLite file of another program, are not changed."""
    store = Store(tmp_path / "events.db")
    store.add(log_request("app.old"))
    assert run("demo", "--database", str(tmp_path)).exit_code == 1
    assert len(store.rows("select * from events")) == 1

    (tmp_path / "events.db").unlink()
    with closing(sqlite3.connect(tmp_path / "events.db")) as connection:
        connection.execute("create table events (id integer primary key)")
    assert run("demo", "--database", str(tmp_path)).exit_code == 1


def test_demo_reports_a_folder_that_cannot_be_created(tmp_path: Path) -> None:
    """A folder below a file is reported, and the exit status is 1."""
    (tmp_path / "file").touch()

    ran = run("demo", "--database", str(tmp_path / "file" / "demo"))

    assert ran.exit_code == 1
    assert "demo cannot be written" in ran.output


def test_demo_fails_if_something_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit status is 1, and the last lines still say how to open what there is."""
    complete = Count(what="events", sent=2, arrived=2)
    chapters = [Chapter(title="One", seen=["a"], counts=[complete, replace(complete, arrived=1)])]
    monkeypatch.setattr(command, "_chapters", lambda store: iter(chapters))

    ran = run("demo", "--database", str(tmp_path / "demo"))

    assert ran.exit_code == 1
    assert "Not everything arrived." in ran.output
    assert "events        2        1" in ran.output
    assert f"datasette {tmp_path / 'demo'}" in ran.output


def test_demo_fails_if_its_program_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is the one about the process."""
    monkeypatch.setattr("sys.executable", shutil.which("false"))

    ran = run("demo", "--database", str(tmp_path / "demo"))

    assert ran.exit_code == 1
    assert "Error: the demo's program failed with exit status 1" in ran.output
