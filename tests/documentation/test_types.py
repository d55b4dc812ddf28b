"""Type checkers find no error in the Python of the README and of the documentation, in their strict modes."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from backends.node import PACKAGES, node
from documentation.blocks import REPOSITORY, blocks_of, pages
from processes import clean_environment, run

PROGRAMS = {"docs/frameworks.md"}
"""The pages whose blocks are programs of their own. The blocks of any other page are parts of one program."""

NOT_TYPED = ("docs/tutorials/",)
"""Pages that are not checked: their programs use frameworks without types, and make mistakes for the reader to see."""


def write_modules(page: Path, folder: Path) -> None:
    """Write the blocks of a page as modules: a block with the name of a file is that file."""
    name = page.relative_to(REPOSITORY).as_posix()
    for number, block in enumerate(each for each in blocks_of(page) if each.language == "python"):
        module = block.file or (f"program_{number}.py" if name in PROGRAMS else "page.py")
        path = folder / module
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if block.file and not block.continues else "a", encoding="utf-8") as file:
            file.write(f"{block.content}\n\n")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A folder for each page with Python, with its modules."""
    root = tmp_path_factory.mktemp("pages")
    for page in pages():
        name = page.relative_to(REPOSITORY).as_posix()
        if not name.startswith(NOT_TYPED):
            write_modules(page, root / name.replace("/", "_").removesuffix(".md"))
    return sorted(root.iterdir())


def test_mypy_finds_no_error(folders: list[Path], tmp_path: Path) -> None:
    """The modules of each page are checked together. The cache is shared, so that heliograph is read once."""
    pytest.importorskip("mypy", reason="mypy is not installed")
    config = tmp_path / "mypy.ini"
    config.write_text(
        "[mypy]\nstrict = True\n[mypy-celery.*,datasette.*,starlette.*,django.*]\nignore_missing_imports = True\n"
    )
    problems = ""
    for folder in folders:
        modules = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.py"))]
        command = [sys.executable, "-m", "mypy", "--config-file", str(config), "--cache-dir", str(tmp_path / "cache")]
        ran = run([*command, *modules], cwd=folder, env=clean_environment(), timeout_seconds=300)
        if ran.returncode:
            problems += f"{folder.name}:\n{ran.stdout}{ran.stderr}"
    assert not problems, problems


def test_pyright_finds_no_error(folders: list[Path]) -> None:
    """One run checks all pages, and the tests of the public types: a module is looked for beside the one that imports it."""
    config = {"typeCheckingMode": "strict", "reportMissingTypeStubs": False, "pythonVersion": "3.10"}
    root = folders[0].parent
    shutil.copy(REPOSITORY / "tests" / "public_types.py", root)
    (root / "pyrightconfig.json").write_text(json.dumps(config), encoding="utf-8")
    ran = node(PACKAGES / "pyright" / "index.js", "--project", root, "--pythonpath", sys.executable)
    assert ran.returncode == 0, ran.stdout + ran.stderr
