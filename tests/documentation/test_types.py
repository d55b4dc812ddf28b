"""Type checkers find no error in the Python of the README and of the documentation, in their strict modes."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from backends.node import PACKAGES, node
from documentation.blocks import REPOSITORY, blocks_of, pages
from processes import clean_environment, run

PROGRAMS: Final = {"docs/frameworks.md"}
"""The pages whose blocks are programs of their own. The blocks of any other page are parts of one program."""

MISTAKE: Final = "reason=sys.argv[2]"
"""A line with this is wrong on purpose: the tutorial of a script shows what happens then, and says that a type checker finds it."""

MYPY: Final = """[mypy]
strict = True
explicit_package_bases = True
[mypy-celery.*,datasette.*,starlette.*,django.*]
ignore_missing_imports = True
# The decorators of Django have no types.
[mypy-forum.urls]
disallow_untyped_decorators = False
"""

PYRIGHT: Final = {
    "typeCheckingMode": "strict",
    "reportMissingTypeStubs": False,
    "pythonVersion": "3.10",
    # Django, Datasette and starlette's client for tests have no full types, and pyright guesses some from their source.
    "ignore": [
        "docs_tutorials_django*",
        "docs_tutorials_datasette*",
        "docs_testing_0/*shop_reports.py",
        "docs_testing_0/test_app.py",
    ],
}


def programs_of(page: Path) -> Iterator[dict[str, str]]:
    """Yield the modules of a page, by name: a block with the name of a file is that file.

    A tutorial writes a file again: the modules before that are a program of their own.
    """
    modules: dict[str, str] = {}
    name = page.relative_to(REPOSITORY).as_posix()
    for number, block in enumerate(each for each in blocks_of(page) if each.language == "python"):
        module = block.file or (f"program_{number}.py" if name in PROGRAMS else "page.py")
        if block.continues and module not in modules:
            continue  # a command has written the beginning of the file
        if block.file and not block.continues and module in modules:
            yield dict(modules)
            del modules[module]
        modules[module] = f"{modules.get(module, '')}{block.content}\n\n"
    if modules:
        yield modules


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A folder for each program of the pages, with its modules."""
    root = tmp_path_factory.mktemp("pages")
    for page in pages():
        name = page.relative_to(REPOSITORY).as_posix().replace("/", "_").removesuffix(".md")
        for number, modules in enumerate(programs_of(page)):
            for module, content in modules.items():
                path = root / f"{name}_{number}" / module
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content, encoding="utf-8")
    return sorted(root.iterdir())


def mistakes(folder: Path) -> set[tuple[str, int]]:
    """Return each line of a program that is wrong on purpose: its file, and its number from 1 on."""
    lines = [(path, path.read_text(encoding="utf-8").splitlines()) for path in folder.rglob("*.py")]
    return {(str(path), number) for path, each in lines for number, line in enumerate(each, 1) if MISTAKE in line}


def test_tutorial_names_its_mistake(folders: list[Path]) -> None:
    """One page alone has a mistake, and says that a type checker reports it."""
    assert {folder.name for folder in folders if mistakes(folder)} == {f"docs_tutorials_script_{n}" for n in (1, 2)}
    page = (REPOSITORY / "docs" / "tutorials" / "script.md").read_text(encoding="utf-8")
    assert f"A type checker reports `{MISTAKE}`" in " ".join(page.split())


def test_mypy_finds_no_error(folders: list[Path], tmp_path: Path) -> None:
    """The modules of each program are checked together. The cache is shared, so that heliograph is read once."""
    pytest.importorskip("mypy", reason="mypy is not installed")
    config = tmp_path / "mypy.ini"
    config.write_text(MYPY, encoding="utf-8")
    problems = ""
    for folder in folders:
        modules = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.py"))]
        command = [sys.executable, "-m", "mypy", "--config-file", str(config), "--cache-dir", str(tmp_path / "cache")]
        ran = run([*command, *modules], cwd=folder, env=clean_environment(), timeout_seconds=300)
        found = re.findall(r"(?m)^(.+?):(\d+): error: ", ran.stdout)
        if {(str(folder / path), int(line)) for path, line in found} != mistakes(folder) or (
            ran.returncode and not found
        ):
            problems += f"{folder.name}:\n{ran.stdout}{ran.stderr}"
    assert not problems, problems


def test_pyright_finds_no_error(folders: list[Path]) -> None:
    """One run checks all pages, and the tests of the public types: a module is looked for beside the one that imports it."""
    root = folders[0].parent
    shutil.copy(REPOSITORY / "tests" / "public_types.py", root)
    (root / "pyrightconfig.json").write_text(json.dumps(PYRIGHT), encoding="utf-8")
    ran = node(PACKAGES / "pyright" / "index.js", "--outputjson", "--project", root, "--pythonpath", sys.executable)
    report = json.loads(ran.stdout)
    found = {(each["file"], each["range"]["start"]["line"] + 1) for each in report["generalDiagnostics"]}
    expected = {mistake for folder in folders for mistake in mistakes(folder)}
    assert report["summary"]["filesAnalyzed"] > len(folders)
    assert found == expected, ran.stdout + ran.stderr
