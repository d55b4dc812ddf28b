"""A plugin of pytest that tells what no test emitted: ``pytest -p heliograph.pytest_plugin --heliograph-coverage``.

It looks at the events that are registered in the test process itself, in hosts and Datasettes that the tests make.
"""

from __future__ import annotations

from typing import Final

import pytest

from heliograph.schema.read.event import EventReader
from heliograph.schema.registry import on_register

_OPTION: Final = "--heliograph-coverage"
_READERS: Final = pytest.StashKey[list[EventReader]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("heliograph").addoption(
        _OPTION,
        action="store_true",
        dest="heliograph_coverage",
        help="Tell which of the registered events, and which of their attributes, no test emitted.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Watch what is registered from now on."""
    if config.option.heliograph_coverage:
        readers = config.stash[_READERS] = []
        on_register.append(readers.append)
        config.add_cleanup(lambda: on_register.remove(readers.append))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell what was not seen."""
    readers = config.stash.get(_READERS, None)
    if readers is not None:
        terminalreporter.section("heliograph: coverage of events")
        for line in report(readers):
            terminalreporter.line(line)


def report(readers: list[EventReader]) -> list[str]:
    """One line for each event or attribute that was registered and not seen, and a line that sums up."""
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
    return [*lines, f"{len(seen)} of {len(declared)} events were emitted."]
