"""The public names are complete and cheap to import, and their examples run."""

from __future__ import annotations

import ast
import doctest
import enum
import importlib
import inspect
import itertools
import pkgutil
import subprocess
import sys
import types
from collections.abc import Iterator, Sequence
from importlib.util import find_spec

import pytest

import heliograph
import heliograph.delivery.processor
import heliograph.errors
from processes import clean_environment

# Importing it sets providers up, as other plugins of Datasette do.
WITH_SIDE_EFFECTS = {"heliograph.integrations.datasette.entry_point", "heliograph.integrations.datasette.plugin"}


def modules() -> Iterator[str]:
    """Yield the names of all modules of the package, except those whose import has effects, or needs a package that is missing."""
    yield "heliograph"
    optional = {"django": ".integrations.django", "grafana_foundation_sdk": "heliograph.dashboards."}
    missing = [part for package, part in optional.items() if find_spec(package) is None]
    for module in pkgutil.walk_packages(heliograph.__path__, "heliograph."):
        if module.name not in WITH_SIDE_EFFECTS and not any(part in module.name for part in missing):
            yield module.name


def test_all_is_sorted() -> None:
    """`__all__` is in alphabetical order, without duplicates."""
    assert heliograph.__all__ == sorted(set(heliograph.__all__))


def test_all_can_be_imported() -> None:
    """Every name in `__all__` exists: a star import gets all of them."""
    names: dict[str, object] = {}

    exec("from heliograph import *", names)

    assert set(heliograph.__all__) <= set(names)


def public_classes() -> Iterator[type]:
    """Yield the classes whose members a user writes: the enums and `Settings`."""
    for name in heliograph.__all__:
        value = getattr(heliograph, name)
        if isinstance(value, type) and (issubclass(value, enum.Enum) or value is heliograph.Settings):
            yield value


@pytest.mark.parametrize("public", [*public_classes()])
def test_every_member_has_a_text_that_editors_show(public: type) -> None:
    """Below each member of an enum, and each field of `Settings`, is a text."""
    definition = next(each for each in ast.parse(inspect.getsource(public)).body if isinstance(each, ast.ClassDef))
    body = [*definition.body[1:], None]  # without the docstring of the class
    members = [(each, text) for each, text in itertools.pairwise(body) if isinstance(each, (ast.Assign, ast.AnnAssign))]

    assert members
    assert [ast.unparse(member) for member, text in members if not isinstance(text, ast.Expr)] == []


def test_all_is_complete() -> None:
    """Every name of the package without a leading underscore, except its modules, is in `__all__`."""
    public = {
        name
        for name, value in vars(heliograph).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }

    imported_when_needed = set(heliograph._MODULES)
    assert public | imported_when_needed | {"__version__"} == set(heliograph.__all__)


@pytest.mark.parametrize(("name", "module"), heliograph._MODULES.items())
def test_name_that_is_imported_when_needed(name: str, module: str) -> None:
    """The name is the object of its module, is listed by `dir`, and is found again without a lookup."""
    found = getattr(heliograph, name)
    assert found is getattr(importlib.import_module(f"heliograph.{module}"), name)
    assert vars(heliograph)[name] is found
    assert set(heliograph.__all__) <= set(dir(heliograph))


def test_name_that_does_not_exist() -> None:
    """A missing name raises Python's usual error."""
    with pytest.raises(AttributeError, match=r"^module 'heliograph' has no attribute 'Outbox'$"):
        heliograph.Outbox  # type: ignore[attr-defined]  # noqa: B018


def test_every_error_is_public() -> None:
    """Every exception class of the package can be imported from `heliograph`, and is a HeliographError."""
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


HEAVY = (
    "opentelemetry.sdk",
    "opentelemetry.exporter",
    "datasette",
    "grpc",
    "requests",
    "google.protobuf",
    "yaml",
    "jinja2",
    "click",
)
"""Modules that a program may never need, although it tracks events."""
HEAVY_WITHOUT_A_HOST = (
    "anyio",
    "asyncio",
    "concurrent.futures",
    "importlib.metadata",
    "itsdangerous",
    "msgspec",
    "socket",
    "sqlite3",
    "ssl",
)
"""Modules that a module of event classes or hooks does not need."""


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import heliograph", [*HEAVY, *HEAVY_WITHOUT_A_HOST]),
        ("from heliograph import Event, acting_as, current_actor, hookimpl", [*HEAVY, *HEAVY_WITHOUT_A_HOST]),
        ("from heliograph import Host, configure", [*HEAVY, "anyio", "asyncio", "ssl"]),
    ],
)
def test_import_is_light(statement: str, heavy: Sequence[str]) -> None:
    """An import loads no more than it needs, and starts no thread."""
    script = (
        f"{statement}\nimport sys, threading\n"
        "print(sorted({name for name in sys.modules for heavy in sys.argv[1:]"
        " if name == heavy or name.startswith(heavy + '.')}), threading.active_count())"
    )

    # Without the measurement of coverage, which imports modules of its own.
    environ = {name: value for name, value in clean_environment().items() if not name.startswith("COVERAGE_")}
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *heavy],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    assert ran.stdout.strip() == "[] 1"


def modules_with_examples() -> Iterator[str]:
    """Yield the names of the modules whose text has an example. To look for examples in all takes longer than to run them."""
    for name in modules():
        if ">>>" in inspect.getsource(importlib.import_module(name)):
            yield name


def test_modules_can_be_imported_and_examples_run() -> None:
    """The examples in docstrings have the results that they show, those of `Host` and of `Event` among them."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    found = set()
    for name in modules_with_examples():
        for test in finder.find(importlib.import_module(name)):
            found.add(test.name)
            assert runner.run(test).failed == 0, test.name

    assert {"heliograph.host.host.Host", "heliograph.events.Event"} <= found
