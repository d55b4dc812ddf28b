"""The documentation is complete, and its examples run as they are printed."""

from __future__ import annotations

import json
import os
import pkgutil
import re
import shlex
import struct
import sys
from pathlib import Path
from zlib import crc32

import click
import pytest
from click.testing import CliRunner

import heliograph
from backends import Jaeger, VictoriaLogs
from cli.tails import tailing
from delivery.outboxes import logging_to
from delivery.servers import serving
from drafted import imported
from heliograph import Host, Settings, TokenRevoked
from heliograph.cli.main import cli
from heliograph.delivery.journal.cursor import write_cursor
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.journal.writer import JournalWriter
from heliograph.schema.read.stored_properties import read_stored_properties
from heliograph.schema.registry import SchemaRegistry
from heliograph.tokens.stored.text import ID_LENGTH, PATTERN, PREFIX
from processes import clean_environment, run

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
DELIVERY = (DOCS / "delivery.md").read_text(encoding="utf-8")
SCHEMAS = (DOCS / "schemas.md").read_text(encoding="utf-8")
TAIL = (DOCS / "tail.md").read_text(encoding="utf-8")
TESTING = (DOCS / "testing.md").read_text(encoding="utf-8")
TOKENS = (DOCS / "tokens.md").read_text(encoding="utf-8")


def python_of(page: str) -> str:
    """The page's blocks of Python, in order."""
    return "\n\n".join(re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL))


def test_classes_of_the_page_on_schemas_do_what_it_says() -> None:
    """They are registered, have the names that the page gives, and the upcaster makes cents of euros."""
    with imported(python_of(SCHEMAS)) as module:
        registry = SchemaRegistry.from_settings(Settings())
        order, ban = (registry.register(cls) for cls in (module.OrderPlaced, module.BanUser))

    assert order.label == "shop.order_placed@1"
    assert {attribute.name for attribute in order.wire_attributes()} == {
        "shop.order.total",
        "shop.customer.name",
        "shop.order_placed.customer.country",
        "shop.order_placed.note",
        "shop.order_placed.sql",
    }
    assert order.upcasters["0"]({"total": 12.5}) == {"total": 1250}
    assert ban.renamed is not None
    assert ban.renamed.event_name == "forum.block_user"
    _, violations = read_stored_properties(order, {"total": -1, "customer": {"name": "x", "country": "gb"}})
    assert sorted(each.path for each in violations) == ["customer.country", "total"]


def test_every_page_is_in_the_index() -> None:
    """A page that is not in the index cannot be found in the site, whose build then fails."""
    listed = (DOCS / "index.md").read_text(encoding="utf-8").splitlines()

    pages = [page.relative_to(DOCS).with_suffix("").as_posix() for page in DOCS.rglob("*.md")]
    assert [page for page in pages if page not in listed] == ["index"]


def test_tests_of_the_page_on_testing_pass(tmp_path: Path) -> None:
    """They run as they are printed, in one file, with the fixture that pytest finds by itself."""
    (tmp_path / "test_page.py").write_text(python_of(TESTING), encoding="utf-8")
    environ = {
        **os.environ,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }  # but for this one; other plugins take seconds to load
    ran = run(
        [sys.executable, "-m", "pytest", "-p", "pytest_heliograph", "-q", "test_page.py"], cwd=tmp_path, env=environ
    )

    assert "3 passed" in ran.stdout, ran.stdout


def test_commands_of_the_page_on_schemas_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of `heliograph schema` run in the order of the page, in a folder with the page's classes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "shop").mkdir()
    hook = "\n\nfrom heliograph import hookimpl\n\nclass P:\n    @hookimpl\n    def register_events(self):\n        return [OrderPlaced]\n\nplugin = P()\n"
    (tmp_path / "shop" / "events.py").write_text("from __future__ import annotations\n" + python_of(SCHEMAS) + hook)
    record = {"eventName": "shop.sale", "attributes": [{"key": "shop.sale.total", "value": {"intValue": "3"}}]}
    (tmp_path / "heliograph-demo").mkdir()
    (tmp_path / "heliograph-demo" / "events.db").write_text(
        json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})
    )
    runner = CliRunner()
    assert (
        runner.invoke(
            cli, ["schema", "export", "--format", "weaver", "--out", "registry", "shop.events:plugin"]
        ).exit_code
        == 0
    )

    commands = re.findall(r"^\$ heliograph (schema .*)$", SCHEMAS, flags=re.MULTILINE)
    for command in commands:
        result = runner.invoke(cli, command.split())
        assert result.exit_code == 0, (command, result.output)

    assert len(commands) >= 5
    assert "shop.order_placed@1" in (tmp_path / "catalogue" / "index.html").read_text(encoding="utf-8")


def test_commands_of_the_page_on_delivery_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of `heliograph outbox` run in the order of the page, on an outbox with a dead letter and a waiting record."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HELIOGRAPH_OUTBOX", "outbox")
    with serving(lambda number, records: (413, {}, b"") if number == 0 else (503, {}, b"")) as server:
        with logging_to(tmp_path / "outbox", server.endpoint) as emit:
            emit("dead")
            assert not emit.processor.force_flush(10_000)
            emit("waits")
    commands = re.findall(r"^\$ heliograph (outbox .*)$", DELIVERY, flags=re.MULTILINE)
    with serving() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", server.endpoint)
        for command in commands:
            result = CliRunner().invoke(cli, command.split())
            # 1: there is a dead letter.
            assert result.exit_code in {0, 1}, (command, result.output)
        assert CliRunner().invoke(cli, ["outbox", "drain"]).exit_code == 0

    assert len(commands) >= 8
    assert sorted(server.accepted) == ["dead", "waits"]


@pytest.mark.parametrize("command", re.findall(r"^\$ heliograph tail(.*)$", TAIL, flags=re.MULTILINE))
def test_commands_of_the_page_on_tail_work(command: str, tmp_path: Path) -> None:
    """Each starts, on free ports instead of those of the page, and ends by Ctrl-C; with `--await`, the status is then 1."""
    with tailing(tmp_path, *shlex.split(command)) as tail:
        assert tail.end() == ("--await" in command)


def test_commands_of_the_page_on_the_doctor_work(
    jaeger: Jaeger, victorialogs: VictoriaLogs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They answer the operator's questions: is it working, has it arrived, and why is nothing in my backend?"""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{jaeger.otlp_http_endpoint}/v1/traces")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", victorialogs.logs_endpoint)
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    (tmp_path / "datasette.yaml").write_text("title: Shop\n")
    commands = re.findall(
        r"^\$ heliograph (doctor.*)$", (DOCS / "doctor.md").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    for command in commands:
        words = command.replace("http://localhost:16686", jaeger.url).replace("http://localhost:9428", victorialogs.url)
        environ = {**os.environ, "DATASETTE_LOAD_PLUGINS": "heliograph"}
        ran = run([sys.executable, "-m", "heliograph", *words.split()], cwd=tmp_path, env=environ)
        assert (ran.returncode, ran.stderr) == (0, ""), (command, ran.stdout)
        assert ran.stdout.endswith("All is well.\n")
        assert ran.stdout.count(": stored") == command.count("--arrived")

    assert len(commands) >= 4


@pytest.mark.anyio
async def test_functions_of_the_page_on_tokens_do_what_it_says(tmp_path: Path) -> None:
    """A token is issued, narrowed, rotated with an overlap, listed, and ended."""
    settings = Settings(token_handlers=("database", "signed"), token_database=tmp_path / "tokens.db")
    with imported(python_of(TOKENS)) as page, Host(settings) as host:
        issued = await page.issue(host)
        await page.narrow(host, issued.id)
        replaced = await page.replace(host, issued.id)
        actors = [await host.verify_token(token) for token in (issued.token, replaced)]
        active = await page.active(host, "alice")
        ended = await page.end_all(host, "alice")
        with pytest.raises(TokenRevoked):
            await host.verify_token(replaced)
        [record] = await page.tokens.tokens(host)

    assert {actor["token_id"] for actor in actors} == {issued.id}
    assert {str(actor["_r"]) for actor in actors} == {"{'r': {'sales': {'orders': ['vt']}}}"}
    assert active == [f"{issued.id} nightly export"]
    assert (ended, record.revoked_by) == (1, "root")


def test_commands_of_the_page_on_tokens_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings are those that the page exports. The commands run in its order, with the id of the token that the first one creates."""
    monkeypatch.chdir(tmp_path)
    for name, value in re.findall(r"^\s*\$ export (\w+)=(\S+)$", TOKENS, flags=re.MULTILINE):
        monkeypatch.setenv(name, value)
    token_id = outputs = ""
    commands = re.findall(r"^\s*\$ heliograph (token .*)$", TOKENS, flags=re.MULTILINE)
    for command in commands:
        result = CliRunner().invoke(
            cli, [token_id if word == "3JmZk0sR8fQa" else word for word in shlex.split(command)]
        )
        assert result.exit_code == 0, (command, result.output)
        outputs += result.output
        (tmp_path / "leak.txt").write_text(outputs)
        token_id = token_id or re.findall(PATTERN, outputs)[0][len(PREFIX) :][:ID_LENGTH]

    assert [command.split()[1] for command in commands] == ["create", "list", "rotate", "revoke"]
    assert Settings.from_env().secret == ("NEW", "OLD")
    assert CliRunner().invoke(cli, ["token", "list", "--state", "active"]).exit_code == 1


def test_format_on_the_disk_is_that_of_the_page_on_delivery(tmp_path: Path) -> None:
    """The files of a journal have the bytes that the page's table describes."""
    writer = JournalWriter(tmp_path, Header(resource=b"RES", schema_url="https://r"))
    writer.append(Scope(scope=b"SCOPE", schema_url="https://s"), b"RECORD")
    writer.close()
    write_cursor(tmp_path, 1)

    content = b"\x01" + struct.pack("<I", 9) + b"https://r" + b"RES"
    header = b"HELIOJNL" + struct.pack("<HI", 2, len(content)) + content
    header += struct.pack("<I", crc32(header))
    scope = struct.pack("<BH", 1, 0) + struct.pack("<I", 9) + b"https://s" + b"SCOPE"
    record = struct.pack("<BH", 2, 0) + b"RECORD"
    frames = [
        struct.pack("<IIQ", len(payload), crc32(struct.pack("<Q", 1) + payload), 1) + payload
        for payload in (scope, record)
    ]
    assert (tmp_path / f"{1:020}.journal").read_bytes() == header + header + b"".join(frames)
    cursor = b"HELIOCUR" + struct.pack("<HQ", 1, 1)
    assert (tmp_path / "cursor").read_bytes() == cursor + struct.pack("<I", crc32(cursor))


def commands(group: click.Group, name: str) -> list[str]:
    found = []
    for sub_name, command in group.commands.items():
        found.append(f"{name} {sub_name}")
        if isinstance(command, click.Group):
            found += commands(command, f"{name} {sub_name}")
    return found


@pytest.mark.parametrize("command", commands(cli, "heliograph"))
def test_every_command_is_documented(command: str) -> None:
    """The reference has a section for each command, and the help of each begins with a sentence."""
    assert f"## `{command}`" in (DOCS / "cli.md").read_text(encoding="utf-8")
    output = CliRunner().invoke(cli, [*command.split()[1:], "--help"]).output
    assert re.search(r"Usage: .*\n\n  [A-Z]", output), output


def test_architecture_names_every_module() -> None:
    """The page names every module, and every package by its name or its folder."""
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    for module in pkgutil.walk_packages(heliograph.__path__, "heliograph."):
        name = module.name.rpartition(".")[2]
        if name != "__main__":
            assert re.search(rf"[`/]{name}/?`", page), module.name


FRAMEWORKS = (DOCS / "frameworks.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", FRAMEWORKS, flags=re.DOTALL))
def test_programs_of_the_page_on_frameworks_start(block: str, tmp_path: Path) -> None:
    """Each is a whole program, which can be imported."""
    ran = run([sys.executable, "-c", block], cwd=tmp_path, env=clean_environment(OTEL_SDK_DISABLED="true"))
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
