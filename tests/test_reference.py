"""The reference describes every public name, hook and exception, and no other."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pluggy
import pytest

import heliograph
from heliograph.hooks import specs

DOCS = Path(__file__).resolve().parent.parent / "docs" / "reference"
DIRECTIVE = re.compile(r"^\.\. (?:auto|py:)(?:class|data|decorator|exception|function):: ([\w.]+)", flags=re.MULTILINE)

PAGES = {
    "heliograph": ["api", "errors"],
    "heliograph.testing": ["testing"],
    "heliograph.tokens": ["tokens"],
}
"""The pages that describe a module."""


def described(page: str) -> list[str]:
    """Return the names that a page describes."""
    return DIRECTIVE.findall((DOCS / f"{page}.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("module", "pages"), PAGES.items())
def test_every_public_name_is_described_once(module: str, pages: list[str]) -> None:
    """Each name of `__all__` has one entry, and each entry of the module is such a name."""
    names = [name.rpartition(".") for page in pages for name in described(page)]
    own = sorted(name for package, _, name in names if package in {"", module} and name != "heliograph_events")

    assert own == sorted(importlib.import_module(module).__all__)


def hooks() -> list[str]:
    """Return the names of the hooks."""
    manager = pluggy.PluginManager(specs.PROJECT_NAME)
    manager.add_hookspecs(specs)
    return sorted(name for name in vars(manager.hook) if not name.startswith("_"))


@pytest.mark.parametrize("name", hooks())
def test_every_hook_is_described_with_its_arguments(name: str) -> None:
    """A hook's docstring and the table of the page have all arguments. The marker, which editors show, names the hook."""
    page = (DOCS / "hooks.md").read_text(encoding="utf-8")
    hook = getattr(specs, name)
    arguments = list(inspect.signature(hook).parameters)
    documentation = inspect.getdoc(hook) or ""

    assert f"heliograph.hooks.specs.{name}" in described("hooks")
    assert re.findall(r"^    (\w+): ", documentation, flags=re.MULTILINE) == arguments
    assert "Returns:" in documentation or name == "startup"
    assert f"| `{name}` | {', '.join(f'`{argument}`' for argument in arguments)} |" in page
    assert f"`{name}`" in inspect.getsource(specs).partition("hookimpl: Final")[2].partition("@hookspec")[0]


def errors() -> list[str]:
    """Return the names of the public exceptions, without the base of all."""
    found = {name: getattr(heliograph, name) for name in heliograph.__all__}
    return [
        name
        for name, value in found.items()
        if isinstance(value, type) and issubclass(value, Exception) and value is not heliograph.HeliographError
    ]


@pytest.mark.parametrize("name", errors())
def test_every_error_says_when_and_what_to_do(name: str) -> None:
    """The docstring has the situation in its first line, and a paragraph that says where it is raised and what to do."""
    first, _, rest = (inspect.getdoc(getattr(heliograph, name)) or "").partition("\n\n")
    paragraph = rest.partition("\n\n")[0]

    assert first.endswith(".")
    assert not paragraph.startswith(("Attributes:", "Args:"))
    assert len(paragraph.split()) >= 5
    assert f"heliograph.{name}" in described("errors")
    assert re.search(rf"── {name}\b", inspect.getdoc(heliograph.errors) or "")
