"""`heliograph schema`: export, lock, check, import and infer."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result

import forked
from heliograph.cli.main import cli
from schema.export.weaver_reader import read_v1, read_v2

SHOP = """
    from dataclasses import dataclass
    from typing import Annotated

    from heliograph import Attribute, Event, Privacy, hookimpl


    @dataclass
    class OrderEvent(Event, namespace="shop"):
        name = "order"
        total: int
        email: Annotated[str, Attribute(privacy=Privacy.HASH)]


    @dataclass
    class BanEvent(Event, namespace="shop", version="1"):
        name = "ban"


    class Plugin:
        @hookimpl
        def register_events(self):
            return [OrderEvent, BanEvent]


    plugin = Plugin()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def module(folder: Path, name: str, source: str = SHOP) -> str:
    """Write a module and return it as a source. Each test needs a new name, because Python imports a module once."""
    (folder / f"{name}.py").write_text("from __future__ import annotations\n" + textwrap.dedent(source))
    return f"{name}:plugin"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["schema", *map(str, arguments)])


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_every_format_is_exported(folder: Path) -> None:
    """The folder is created if it does not exist; other files in it are kept."""
    source = module(folder, "shop_exports")
    (folder / "out").mkdir()
    (folder / "out" / "mine.txt").write_text("mine")

    for form in ("json-schema", "weaver", "weaver-v1", "markdown", "html"):
        result = run("export", "--format", form, "--out", folder / "out" / form, source)
        assert result.exit_code == 0, result.output

    assert names(folder / "out") == {"json-schema", "weaver", "weaver-v1", "markdown", "html", "mine.txt"}
    assert names(folder / "out" / "json-schema") == {"shop.order.schema.json", "shop.ban@1.schema.json"}
    for path in (folder / "out" / "json-schema").iterdir():
        jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text()))
    assert read_v2({path.name: path.read_text() for path in (folder / "out" / "weaver").iterdir()})
    assert read_v1({path.name: path.read_text() for path in (folder / "out" / "weaver-v1").iterdir()})
    assert "shop.order" in (folder / "out" / "markdown" / "events.md").read_text(encoding="utf-8")
    assert "shop.order" in (folder / "out" / "html" / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("form", "is_registry"), [("weaver", True), ("weaver-v1", True), ("json-schema", False)])
def test_a_registry_has_the_events_of_tokens(folder: Path, form: str, is_registry: bool) -> None:
    """A live check of a stream rejects events that the registry does not have. Other formats have only those of the program."""
    run("export", "--format", form, "--out", "out", module(folder, f"shop_own_{form[-1]}"))

    written = "".join(f"{path.name}{path.read_text()}" for path in (folder / "out").iterdir())
    assert ("heliograph.token_created" in written) is is_registry


def test_a_registry_has_the_given_url_and_version(folder: Path) -> None:
    """The manifest of the registry has both, as one schema URL."""
    options = ["--schema-url", "https://shop.org/events", "--schema-version", "1.2.0"]

    result = run("export", "--format", "weaver", "--out", "registry", *options, module(folder, "shop_url"))

    assert result.exit_code == 0, result.output
    assert "schema_url: https://shop.org/events/1.2.0\n" in (folder / "registry" / "manifest.yaml").read_text()


def test_names_of_files_are_escaped(folder: Path) -> None:
    """A name may come from somebody else, and must not command the terminal."""
    source = module(folder, "shop_escaped")
    results = [
        run("lock", "--file", "\x1b[31m.json", source),
        run("export", "--format", "html", "--out", "\x1b[32m", source),
    ]

    assert [(result.exit_code, "\x1b" in result.output) for result in results] == [(0, False)] * 2


def test_exports_do_not_use_the_real_key_of_hashes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever tries keys could compare their hash of the example with a published one."""
    source = module(folder, "shop_key")
    pages = []
    for key in ("one", "two"):
        monkeypatch.setenv("HELIOGRAPH_PRIVACY_KEY", key)
        assert run("export", "--format", "html", "--out", folder / key, source).exit_code == 0
        pages.append((folder / key / "index.html").read_text(encoding="utf-8"))

    assert pages[0] == pages[1]
    assert "hmac-sha256:" in pages[0]


def test_an_installed_datasette_is_a_source(folder: Path) -> None:
    """All event classes that are registered in it are exported."""
    result = run("export", "--format", "json-schema", "--out", folder / "out", "datasette")

    assert result.exit_code == 0, result.output
    assert {"datasette.insert_rows.schema.json", "datasette.login.schema.json"} <= names(folder / "out")


@pytest.mark.parametrize("arguments", [["lock", "--file"], ["export", "--format", "html", "--out"]], ids=" ".join)
def test_datasette_writes_nothing_into_the_current_folder(folder: Path, arguments: list[str]) -> None:
    """All installed plugins start. One of them, datasette-otel-viewer, writes its database into the current folder.

    It runs as a process of its own, because plugins do not load themselves in the process of the tests.
    """
    empty, out = folder / "empty", folder / "out"
    empty.mkdir()
    command = [sys.executable, "-m", "heliograph", "schema", *arguments, str(out), "datasette"]
    environ = {name: value for name, value in os.environ.items() if name != "DATASETTE_LOAD_PLUGINS"}

    result = forked.run(command, cwd=empty, env=environ)

    assert result.returncode == 0, result.stderr
    assert "datasette-otel-viewer" in result.stderr, "the plugin that writes the file did not start"
    assert names(empty) == set()
    assert out.exists()


def test_plugins_of_datasette_are_started_and_ended(folder: Path) -> None:
    """A plugin that registers events by its entry point is found. Its files are there until it has ended."""
    (folder / "plugins" / "lunch-1.0.dist-info").mkdir(parents=True)
    (folder / "plugins" / "lunch-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: lunch\nVersion: 1.0\n"
    )
    (folder / "plugins" / "lunch-1.0.dist-info" / "entry_points.txt").write_text("[datasette]\nlunch = lunch\n")
    (folder / "plugins" / "lunch.py").write_text(
        textwrap.dedent("""
            from dataclasses import dataclass
            from pathlib import Path

            from datasette import hookimpl
            from datasette.events import Event


            @dataclass
            class LunchEvent(Event):
                name = "lunch"
                meal: str


            @hookimpl
            def startup(datasette):
                Path("lunch.txt").write_text("soup")


            @hookimpl
            def shutdown(datasette):
                (Path(__file__).parent / "shutdown.txt").write_text(Path("lunch.txt").read_text())


            @hookimpl
            def register_events():
                return [LunchEvent]
        """)
    )
    empty = folder / "empty"
    empty.mkdir()
    command = [sys.executable, "-m", "heliograph", "schema", "lock", "--file", str(folder / "lock.json"), "datasette"]

    result = forked.run(command, cwd=empty, env={**os.environ, "PYTHONPATH": str(folder / "plugins")})

    assert result.returncode == 0, result.stderr
    assert "lunch.lunch" in json.loads((folder / "lock.json").read_text())["events"]
    assert (folder / "plugins" / "shutdown.txt").read_text() == "soup", (
        "plugins must end before their files are deleted"
    )
    assert names(empty) == set()


def test_a_relative_outbox_is_in_the_current_folder(folder: Path) -> None:
    """Datasette starts in a temporary folder, which is deleted. An outbox in it would be lost."""
    empty = folder / "empty"
    empty.mkdir()
    command = [sys.executable, "-m", "heliograph", "schema", "lock", "--file", str(folder / "lock.json"), "datasette"]
    environ = {**os.environ, "HELIOGRAPH_OUTBOX": "box", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    environ["HELIOGRAPH_FLUSH_TIMEOUT_MILLIS"] = "1"

    result = forked.run(command, cwd=empty, env=environ)

    assert result.returncode == 0, result.stderr
    assert names(empty) == {"box"}


def test_the_current_folder_is_the_same_afterwards(folder: Path) -> None:
    """Relative paths of a command that also names `datasette` mean what they meant before."""
    assert run("lock", "datasette").exit_code == 0

    assert Path.cwd() == folder
    assert "events.lock.json" in names(folder)


def test_the_folders_of_a_file_are_created(folder: Path) -> None:
    """A lock file may be in a folder that does not exist yet."""
    file = folder / "contracts" / "shop" / "events.lock.json"

    assert run("lock", "--file", file, module(folder, "shop_deep")).exit_code == 0
    assert run("check", "--file", file, "shop_deep:plugin").exit_code == 0


def test_check_passes_without_a_change(folder: Path) -> None:
    """A check right after `lock` finds nothing."""
    source = module(folder, "shop_same")

    locked = run("lock", source)
    assert (locked.output, locked.stderr) == ("events.lock.json: 2 events\n", "")
    result = run("check", source)

    assert (result.exit_code, result.output) == (0, "0 incompatible changes. events.lock.json is up to date.\n")


def test_check_fails_on_an_incompatible_change(folder: Path) -> None:
    """The command prints one line for each change, and the ways to go on."""
    run("lock", module(folder, "shop_before"))
    hashed = "total: int\n        email: Annotated[str, Attribute(privacy=Privacy.HASH)]"
    weaker = SHOP.replace(hashed, "email: str\n        sum: int = 0")
    source = module(folder, "shop_after", weaker)

    result = run("check", source)

    assert result.exit_code == 1, result.output
    assert result.output.splitlines() == [
        "error: shop.order shop.order.total: the attribute was removed — breaks dashboards, alerts and queries that use "
        "it; needs a major version",
        "error: shop.order email: privacy is weakened, from hash to plain — breaks the privacy that the people in the data "
        "were promised; needs a major version",
        "note: shop.order shop.order.sum: the attribute is new — compatible; needs a minor version",
        "note: shop.order total: the old schema rejects some new events: the field is required, and is always missing — "
        "breaks code that reads new events with the old schema; needs a minor version",
        "2 incompatible changes. Undo every incompatible change, or give the changed events a new `version`. To accept the classes as they are, "
        "write events.lock.json again with `heliograph schema lock`.",
    ]

    forward = run("check", "--mode", "forward", "--json", source)
    found = [json.loads(line) for line in forward.output.splitlines()]
    assert forward.exit_code == 1
    assert [each["level"] for each in found] == ["error", "error", "error", "note"]
    assert found[0] == {
        "level": "error",
        "event": "shop.order",
        "where": "shop.order.total",
        "what": "the attribute was removed",
        "breaks": "dashboards, alerts and queries that use it",
        "modes": ["backward", "forward", "full"],
        "bump": "major",
    }


def test_check_passes_and_reports_a_compatible_change(folder: Path) -> None:
    """After `lock`, the lock file is up to date."""
    run("lock", "--file", "my.json", module(folder, "shop_first"))
    source = module(
        folder, "shop_more", SHOP.replace("Privacy.HASH)]", "Privacy.HASH)]\n        note: str | None = None")
    )

    result = run("check", "--file", "my.json", source)

    assert result.exit_code == 0
    assert "note: shop.order shop.order.note: the attribute is new" in result.output
    assert "0 incompatible changes. my.json is older than the classes; write it again" in result.output
    assert run("lock", "--file", "my.json", source).exit_code == 0
    assert "up to date" in run("check", "--file", "my.json", source).output


def test_classes_are_drafted_from_a_registry(folder: Path) -> None:
    """The drafted classes can be exported again."""
    run("export", "--format", "weaver", "--out", folder / "registry", module(folder, "shop_out"))

    result = run("import", "weaver", folder / "registry", "--out", folder / "shop_back.py")
    again = run("export", "--format", "weaver", "--out", folder / "again", "shop_back:Order", "shop_back:Ban")

    assert result.output == f"{folder / 'shop_back.py'}: 2 events\n"
    assert again.exit_code == 0, again.output
    for name in ("manifest.yaml", "events.yaml"):
        assert (folder / "again" / name).read_text() == (folder / "registry" / name).read_text()


def test_classes_are_drafted_from_recorded_events(folder: Path) -> None:
    """The events are lines of OTLP JSON. What a class cannot express is reported."""
    record = {"eventName": "shop.sale", "attributes": [{"key": "shop.sale.total", "value": {"intValue": "3"}}]}
    odd = {"eventName": "ODD"}
    request = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record, odd]}]}]}
    (folder / "events.jsonl").write_text(json.dumps(request))

    result = run("infer", folder / "events.jsonl", "--out", folder / "inferred.py")

    assert result.exit_code == 0
    assert "Skipped: the event 'ODD': a class cannot have this name" in result.stderr
    assert "    total: int\n" in (folder / "inferred.py").read_text()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["export", "--format", "weaver", "--out", "o"], 2, "Missing argument 'SOURCE"),
        (["export", "--format", "weaver", "--out", "o", "--schema-url", "x", "json"], 2, "'x' is not a schema URL"),
        (["export", "--format", "xml", "--out", "o", "a:b"], 2, "'xml' is not one of"),
        (["export", "--format", "html", "--out", "o", "nowhere:plugin"], 2, "the module 'nowhere' cannot be imported"),
        (["export", "--format", "html", "--out", "o", "json:dumps"], 2, "json:dumps: the plugin"),
        (["export", "--format", "html", "--out", "file/o", "datasette"], 2, "cannot be written"),
        (["lock", "broken_class:Broken"], 1, "broken_class:Broken: broken_class.Broken: its field 'x'"),
        (["check", "datasette"], 2, "events.lock.json cannot be read"),
        (["check", "--file", "file", "datasette"], 2, "file: not a lock file"),
        (["check", "--file", "bytes", "datasette"], 2, "bytes cannot be read"),
        (["check", "--mode", "sideways", "datasette"], 2, "'sideways' is not one of"),
        (["import", "protobuf", ".", "--out", "x.py"], 2, "'protobuf' is not"),
        (["import", "weaver", "nowhere", "--out", "x.py"], 2, "'nowhere' does not exist"),
        (["import", "weaver", "empty", "--out", "x.py"], 2, "empty has no registry files"),
        (["import", "weaver", "bad", "--out", "x.py"], 2, "events.yaml: Expected `array`"),
        (["infer", "nowhere.jsonl", "--out", "x.py"], 2, "'nowhere.jsonl' does not exist"),
        (["infer", "file", "--out", "x.py"], 2, "file, line 1"),
        (["infer", "nothing", "--out", "x.py"], 1, "x.py is not written: no events were found"),
    ],
)
def test_a_wrong_call_is_reported(folder: Path, arguments: list[str], status: int, message: str) -> None:
    """The message names the file, the class or the field; nothing is written."""
    (folder / "file").write_text("no such thing\n")
    (folder / "nothing").write_text("")
    (folder / "bytes").write_bytes(b"\xff")
    (folder / "empty").mkdir()
    (folder / "bad").mkdir()
    (folder / "bad" / "events.yaml").write_text("events: 3")
    module(
        folder,
        "broken_class",
        SHOP.replace("OrderEvent", "Broken").replace(
            'name = "order"', 'name = "order"\n        x: Annotated[str, Attribute("db.no_such")]'
        ),
    )
    before = names(folder)

    result = run(*arguments)

    assert result.exit_code == status, result.output
    assert message in result.output
    assert not isinstance(result.exception, Exception) or isinstance(result.exception, SystemExit)
    assert names(folder) - {"__pycache__"} == before - {"__pycache__"}


def test_a_wrong_setting_is_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit status is 2, as for a wrong call of the command."""
    monkeypatch.setenv("HELIOGRAPH_VALIDATION", "sometimes")

    for arguments in (["lock", "datasette"], ["export", "--format", "html", "--out", "o", "datasette"]):
        result = run(*arguments)
        assert result.exit_code == 2
        assert "HELIOGRAPH_VALIDATION" in result.output


def test_two_events_with_the_same_name_are_reported(folder: Path) -> None:
    """The message names both classes."""
    source = module(folder, "shop_twice", SHOP.replace('name = "ban"', 'name = "order"').replace(', version="1"', ""))

    result = run("lock", source)

    assert result.exit_code == 1
    assert "OrderEvent" in result.output
    assert "BanEvent" in result.output


def test_a_file_that_cannot_be_written_stays_as_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old text is complete, and there is no temporary file."""
    source = module(folder, "shop_full_disk")
    (folder / "events.lock.json").write_text("old")
    before = names(folder)

    def fail(path: Path, target: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", fail)
    result = run("lock", source)

    assert result.exit_code == 2
    assert "events.lock.json cannot be written: no space left" in result.output
    assert (folder / "events.lock.json").read_text() == "old"
    assert names(folder) - {"__pycache__"} == before - {"__pycache__"}


def test_an_attribute_of_two_types_cannot_be_exported(folder: Path) -> None:
    """In Weaver's registry an attribute has one definition. The message names both classes."""
    shared = SHOP.replace("total: int", 'total: Annotated[int, Attribute("shop.total")]').replace(
        'name = "ban"', 'name = "ban"\n        total: Annotated[str, Attribute("shop.total")]'
    )

    result = run("export", "--format", "weaver", "--out", folder / "out", module(folder, "shop_two_types", shared))

    assert result.exit_code == 1
    assert "OrderEvent" in result.output
    assert "BanEvent" in result.output
    assert not (folder / "out").exists()


def test_show_prints_one_event(folder: Path) -> None:
    """The event is named as on the wire, with or without its version; the events about tokens are known, too."""
    source = module(folder, "show_one")

    ban, labelled, token = (
        run("show", name, source) for name in ("shop.ban", "shop.ban@1", "heliograph.token_rejected")
    )

    assert (ban.exit_code, token.exit_code) == (0, 0)
    assert ban.output.startswith("shop.ban@1\n\nThe event ban.\n\nversion: 1\n")
    assert ban.output == labelled.output
    assert "The result of the verification." in " ".join(token.output.split())
    assert "privacy_key" not in run("show", "shop.order", source).stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [("shop.orders", "similar names are shop.order"), ("zzz", "the events are heliograph.token_created, ")],
)
def test_show_names_the_events_that_there_are(name: str, message: str, folder: Path) -> None:
    """An unknown name is an error, with similar names, or with all."""
    ran = run("show", name, module(folder, f"show_{name[:3]}"))

    assert ran.exit_code == 1
    assert f"Error: there is no event {name}; {message}" in ran.output
