"""The documentation is complete, and what it says of its examples is true. `documentation/test_pages.py` runs them."""

from __future__ import annotations

import pkgutil
import re
import struct
from pathlib import Path
from zlib import crc32

import click
import pytest
from click.testing import CliRunner

import heliograph
from documentation.blocks import DOCS, blocks_of
from drafted import imported
from heliograph import Host, Settings, TokenRevoked
from heliograph.cli.main import cli
from heliograph.delivery.journal.cursor import write_cursor
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.journal.writer import JournalWriter
from heliograph.schema.read.stored_properties import read_stored_properties
from heliograph.schema.registry import SchemaRegistry

ROOT = Path(__file__).resolve().parent.parent


def python_of(page: str) -> str:
    """The page's blocks of Python, in order."""
    return "\n\n".join(block.content for block in blocks_of(DOCS / page) if block.language == "python")


def test_classes_of_the_page_on_schemas_do_what_it_says() -> None:
    """The classes are registered under the names that the page gives, and the upcaster makes cents of euros."""
    with imported(python_of("schemas.md")) as module:
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


@pytest.mark.anyio
async def test_functions_of_the_page_on_tokens_do_what_it_says(tmp_path: Path) -> None:
    """A token is issued, narrowed, rotated with an overlap, listed, and ended."""
    settings = Settings(token_handlers=("database", "signed"), token_database=tmp_path / "tokens.db")
    with imported(python_of("tokens.md")) as page, Host(settings) as host:
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


def test_packages_do_not_list_their_modules() -> None:
    """The page alone has the list, so that there is one to change. The docstring of a package says what is true of all its modules."""
    for path in Path(heliograph.__path__[0]).rglob("__init__.py"):
        listed = re.findall(r"^- `(?:[\w.]+\.)?(\w+)`", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        names = {each.stem for each in path.parent.iterdir()}
        assert names.isdisjoint(listed), path


def test_architecture_names_every_thread() -> None:
    """The table of threads has the name of each thread that the sources start."""
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    source = "".join(path.read_text(encoding="utf-8") for path in Path(heliograph.__path__[0]).rglob("*.py"))
    start = (
        r'(?:\bname=|thread_name_prefix=|THREAD_NAME: Final = |LazyThread\(self\.\w+, |run\), )"(heliograph-[a-z]+)"'
    )
    names = set(re.findall(start, source))

    assert {"heliograph-loop", "heliograph-outbox", "heliograph-resolver", "heliograph-quarantine"} <= names
    assert [name for name in sorted(names) if f"| `{name}` |" not in page] == []
