"""A pytest plugin that lists events and attributes that no test emitted.

Run it with ``pytest -p heliograph.pytest_plugin --heliograph-coverage``. It sees the events that are registered in the test
process, by hosts and Datasette instances that the tests create.
"""

from __future__ import annotations

from typing import Final

import pytest

from heliograph.schema.read.event import EventReader
from heliograph.schema.registry import on_register
from heliograph.values.text import counted

_OPTION: Final = "--heliograph-coverage"
_READERS: Final = pytest.StashKey[list[EventReader]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option ``--heliograph-coverage``."""
    parser.getgroup("heliograph").addoption(
        _OPTION,
        action="store_true",
        dest="heliograph_coverage",
        help="List the registered events, and their attributes, that no test emitted.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect the readers of all event classes that are registered from now on."""
    if config.option.heliograph_coverage:
        readers = config.stash[_READERS] = []
        on_register.append(readers.append)
        config.add_cleanup(lambda: on_register.remove(readers.append))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the report."""
    readers = config.stash.get(_READERS, None)
    if readers is not None:
        terminalreporter.section("heliograph: coverage of events")
        for line in report(readers):
            terminalreporter.line(line)


def report(readers: list[EventReader]) -> list[str]:
    """Return a line for each registered event or attribute that was not emitted, and a summary line.

    An event that several registries have counts as emitted if one of its readers saw it.
    """
    seen: dict[str, set[str]] = {}
    declared: dict[str, set[str]] = {}
    for reader in readers:
        coverage = reader.coverage.snapshot()
        declared.setdefault(reader.schema.label, set()).update(coverage.attributes)
        if coverage.count:
            seen.setdefault(reader.schema.label, set()).update(set(coverage.attributes) - set(coverage.unseen))
    lines = [f"{label}: never emitted" for label in sorted(declared.keys() - seen.keys())]
    for label, names in sorted(seen.items()):
        lines += [f"{label}: never with {name}" for name in sorted(declared[label] - names)]
    return [*lines, f"Emitted: {len(seen)} of {counted(len(declared), 'event')}."]
