"""The pages that explain are true: what they count, name and quote is what the code has."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import sys
from collections import Counter
from pathlib import Path

import click
import pytest

from documentation.blocks import blocks_of
from heliograph import semconv
from heliograph.cli.main import cli
from heliograph.settings import FIELDS, variable_name
from heliograph.version import __version__
from processes import clean_environment, run

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
CONSTRAINTS = (ROOT / "constraints" / "newest.txt").read_text(encoding="utf-8")
AUDIT = (DOCS / "audit.md").read_text(encoding="utf-8")


def test_verdicts_of_the_page_on_audit() -> None:
    """Each point has one of three verdicts, and the summary has their numbers."""
    rows = [line for line in AUDIT.splitlines() if line.startswith("| ") and not line.startswith("| the proposal")]
    verdicts = Counter(line.rstrip(" |").rpartition("| ")[2] for line in rows)

    assert set(verdicts) == {"met", "in part", "not"}
    summary = f"{verdicts['met']} are met, {verdicts['in part']} in part, and {verdicts['not']} not"
    assert summary in AUDIT


def test_names_of_the_page_on_audit_exist() -> None:
    """The metrics, attributes and variables that it names are those of heliograph."""
    names = {str(value) for value in vars(semconv).values() if isinstance(value, semconv.Name)}
    metrics = re.findall(r"`(heliograph\.outbox\.[a-z.]+)`", AUDIT)
    short = re.findall(r"`\.(\w+)`", AUDIT)
    variables = set(re.findall(r"HELIOGRAPH_\w+", AUDIT))

    assert len(metrics) >= 2
    assert {*metrics, *(f"heliograph.outbox.{name}" for name in short)} <= names
    assert {"log.record.uid", "user.id", "heliograph.token.result", "heliograph.event.version"} <= names
    assert variables <= {variable_name(name) for name in FIELDS}


COMPARISONS = (DOCS / "comparisons.md").read_text(encoding="utf-8")


def test_versions_of_the_page_of_comparisons() -> None:
    """The versions of peers are those that the benchmarks install, and our own is the current one."""
    rows = re.findall(r"^\| \[?([\w -]+)(?:\]\(#[\w-]+\))? \| ([\w.]+) \|", COMPARISONS, flags=re.MULTILINE)
    versions = {name.replace("_", "-"): version for name, version in rows}
    pinned = dict(re.findall(r"^([\w-]+)==([\w.]+)", CONSTRAINTS, flags=re.MULTILINE))

    assert len(versions) == 8
    assert versions["heliograph"] == __version__
    assert versions["OpenTelemetry alone"] == pinned["opentelemetry-sdk"]
    for peer in ("logfire", "structlog", "jupyter-events", "datasette-events-db"):
        assert versions[peer] == pinned[peer]


def test_each_peer_is_compared_in_both_directions() -> None:
    """Each section says what the peer does better, what heliograph does better, and when to take which."""
    sections = COMPARISONS.split("\n## ")[1:]

    assert len(sections) == 7
    for section in sections:
        assert [*re.findall(r"^- \*\*(It does better|heliograph does better|Take)\b", section, flags=re.MULTILINE)] == [
            "It does better",
            "heliograph does better",
            "Take",
        ]


INSTALL = (DOCS / "install.md").read_text(encoding="utf-8")
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_page_on_installation_has_every_dependency() -> None:
    """The table has the dependencies of `pyproject.toml`, and the text has their number."""
    block = re.findall(r"^dependencies = \[\n(.*?)^\]", PYPROJECT, flags=re.DOTALL | re.MULTILINE)[0]
    declared = sorted(re.findall(r'^ +"([\w-]+)', block, flags=re.MULTILINE))

    assert sorted(re.findall(r"^\| `([\w-]+)` \|", INSTALL, flags=re.MULTILINE)) == declared
    assert f"installs {len(declared)} packages" in INSTALL


def test_extras_of_the_page_on_installation_exist() -> None:
    """Each extra that the page names is one of `pyproject.toml`."""
    named = re.findall(r"'\.\[(\w+)\]'", INSTALL)

    assert named == ["datasette", "dashboards"]
    for extra in named:
        assert re.search(rf"^{extra} = \[", PYPROJECT, flags=re.MULTILINE)


def test_dependencies_are_imported_when_the_page_on_installation_says() -> None:
    """The packages that it calls imported at once are, and no other."""
    at_once = re.findall(r"^\| `([\w-]+)` \|.*\| at once \|$", INSTALL, flags=re.MULTILINE)
    modules = {
        "opentelemetry-api": "opentelemetry",
        "opentelemetry-exporter-otlp": "opentelemetry.exporter",
        "opentelemetry-sdk": "opentelemetry.sdk",
        "pyyaml": "yaml",
    }
    names = re.findall(r"^\| `([\w-]+)` \|", INSTALL, flags=re.MULTILINE)
    script = "import heliograph, json, sys; print(json.dumps([m for m in sys.argv[1:] if m in sys.modules]))"
    ran = run(
        [sys.executable, "-c", script, *(modules.get(name, name) for name in names)],
        cwd=ROOT,
        env={name: value for name, value in clean_environment().items() if not name.startswith("COVERAGE_")},
    )

    assert sorted(json.loads(ran.stdout)) == sorted(modules.get(name, name) for name in at_once)


def test_page_on_settings_has_every_variable() -> None:
    """Each variable of ours that the sources read, or name in a message, is on it."""
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py")]
    named = {name for text in sources for name in re.findall(r"\bHELIOGRAPH_[A-Z_]+\b", text)}

    assert len(named) > 20
    assert [name for name in sorted(named) if f"`{name}`" not in page] == []


def test_map_for_contributors_has_every_package_in_its_order() -> None:
    """The table names every module and package of heliograph once, from low to high, as the import contract has them."""
    contract = (
        PYPROJECT.partition('name = "Imports run one way, low to high"')[2]
        .partition("layers = [\n")[2]
        .partition("]")[0]
    )
    layers = [line.strip(' ",\n').split(" | ") for line in contract.splitlines()]
    expected = [{*layer} - {"__main__", "pytest_plugin"} for layer in reversed(layers)]
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("| package |")[2].partition("\n\n")[0]
    rows = [{*re.findall(r"`(\w+)`", line.split(" | ")[0])} - {"pytest_heliograph"} for line in table.splitlines()[2:]]

    assert rows == [layer for layer in expected if layer]


def test_generated_code_is_printed_as_contributors_are_told() -> None:
    """The command of the page prints the function of the class that it names."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    [script] = re.findall(r"^\$ \.venv/bin/python -c '(.+?)'$", page, flags=re.MULTILINE | re.DOTALL)
    ran = run([sys.executable, "-c", script], cwd=ROOT, env=clean_environment())

    assert ran.stdout.startswith("def attributes_of_0(event, violations=None):"), ran.stderr
    assert "attributes['forum.sign_up.username']" in ran.stdout


PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "collector-config").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_and_targets_that_a_page_names_exist(page: Path) -> None:
    """A path of the repository in a page is that of a file or folder, and `make …` names a target."""
    text = page.read_text(encoding="utf-8")
    folders = "benchmarks|collector-config|constraints|docs|examples|src|tests"
    paths = {path.rstrip(".") for path in re.findall(rf"[`( ]((?:{folders})/[\w./-]+)", text)}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []
    assert [target for target in re.findall(r"`make ([\w-]+)", text) if f"\n{target}:" not in makefile] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_a_page_names_exist(page: Path) -> None:
    """A command in the text is one of heliograph, with options that it has."""
    for text in re.findall(r"`heliograph ([a-z][^`\n…]*)`", page.read_text(encoding="utf-8")):
        words = shlex.split(text)
        command: click.Command = cli
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            assert words[0] in command.commands, text
            command = command.commands[words.pop(0)]
        options = {each for parameter in command.params for each in parameter.opts}
        unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in options]
        assert unknown == [], text


class PrintedErrors:
    """Takes the place of the package rich, and notes how its console is asked to print an error."""

    def __init__(self) -> None:
        self.calls: list[dict[str, object]] = []

    def get_console(self) -> PrintedErrors:
        return self

    def print_exception(self, **options: object) -> None:
        self.calls.append(options)


def test_local_variables_of_datasettes_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Datasette prints them by rich, as SECURITY.md says, and the plugin of the page on tokens switches it off."""
    pytest.importorskip("datasette")
    import datasette.handle_exception
    from datasette.app import Datasette

    async def ask_for_a_page_that_fails() -> None:
        await Datasette(memory=True).client.get("/no-such-database")

    rich = PrintedErrors()
    monkeypatch.setattr(datasette.handle_exception, "rich", rich)
    asyncio.run(ask_for_a_page_that_fails())
    assert rich.calls == [{"show_locals": True}]

    [plugin] = [each for each in blocks_of(DOCS / "tokens.md") if each.file == "plugins/no_local_variables.py"]
    exec(plugin.content)
    asyncio.run(ask_for_a_page_that_fails())
    assert len(rich.calls) == 1
