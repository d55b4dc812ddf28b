"""The public names are complete and cheap to import, and their examples run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys
import types
from collections.abc import Iterator

import pytest

import heliograph
import heliograph.errors
from processes import clean_environment

# importing it sets providers up, as Datasette's plugins do
WITH_SIDE_EFFECTS = {"heliograph.integrations.datasette.plugin"}


def modules() -> Iterator[str]:
    """The names of all modules of the package, without those whose import does something."""
    yield "heliograph"
    for module in pkgutil.walk_packages(heliograph.__path__, "heliograph."):
        if module.name not in WITH_SIDE_EFFECTS:
            yield module.name


def test_all_is_sorted() -> None:
    """`__all__` is in order, and names nothing twice."""
    assert heliograph.__all__ == sorted(set(heliograph.__all__))


def test_all_can_be_imported() -> None:
    """Every public name is there, also for a star import."""
    names: dict[str, object] = {}

    exec("from heliograph import *", names)

    assert set(heliograph.__all__) <= set(names)


def test_all_is_complete() -> None:
    """What the package holds besides its modules, and does not begin with an underscore, is in `__all__`."""
    public = {
        name
        for name, value in vars(heliograph).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }

    assert public | {"__version__"} == set(heliograph.__all__)


def test_every_error_is_public() -> None:
    """Every exception that the package can raise on purpose can be caught by a public name."""
    errors = {
        name
        for name, value in vars(heliograph.errors).items()
        if isinstance(value, type)
        and issubclass(value, Exception)
        and value.__module__ == "heliograph.errors"
        and not name.startswith("_")  # bases that two of them share
    }

    assert errors <= set(heliograph.__all__)
    assert all(issubclass(getattr(heliograph, name), heliograph.HeliographError) for name in errors)


def test_import_is_light() -> None:
    """Importing heliograph brings in no SDK, no exporter, no web framework, and no protobuf; it starts no thread."""
    heavy = ["opentelemetry.sdk", "opentelemetry.exporter", "datasette", "grpc", "requests", "google.protobuf"]
    script = (
        "import sys, threading, heliograph\n"
        "print(sorted({name for name in sys.modules for heavy in sys.argv[1:]"
        " if name == heavy or name.startswith(heavy + '.')}), threading.active_count())"
    )

    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *heavy],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    assert ran.stdout.strip() == "[] 1"


@pytest.mark.parametrize("name", sorted(modules()))
def test_examples_run(name: str) -> None:
    """The module can be imported, and the examples in its docstrings give what they say."""
    tested = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)

    assert tested.failed == 0


def test_there_are_examples() -> None:
    """The doctests are found: those of the host and of the event."""
    finder = doctest.DocTestFinder(exclude_empty=True)

    found = {test.name for name in modules() for test in finder.find(importlib.import_module(name)) if test.examples}

    assert {"heliograph.host.Host", "heliograph.events.Event"} <= found
