"""A plugin of pytest that tells what no test emitted: ``pytest -p heliograph.pytest_plugin --heliograph-coverage``.

It looks at the events that are registered in the test process itself, in hosts and Datasettes that the tests make.
"""

from __future__ import annotations

from typing import Final

import pytest

from heliograph.schema.model.event import EventSchema
from heliograph.schema.registry import on_register

_OPTION: Final = "--heliograph-coverage"
_SCHEMAS: Final = pytest.StashKey[list[EventSchema]]()


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
        schemas = config.stash[_SCHEMAS] = []
        on_register.append(schemas.append)
        config.add_cleanup(lambda: on_register.remove(schemas.append))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell what was not seen."""
    schemas = config.stash.get(_SCHEMAS, None)
    if schemas is not None:
        terminalreporter.section("heliograph: coverage of events")
        for line in report(schemas):
            terminalreporter.line(line)


def report(schemas: list[EventSchema]) -> list[str]:
    """One line for each event or attribute that was registered and not seen, and a line that sums up."""
    seen: dict[str, set[str]] = {}
    declared: dict[str, set[str]] = {}
    for schema in schemas:
        coverage = schema.recorder.coverage()
        declared.setdefault(schema.label, set()).update(coverage.attributes)
        if coverage.count:
            seen.setdefault(schema.label, set()).update(set(coverage.attributes) - set(coverage.unseen))
    lines = [f"{label}: never emitted" for label in sorted(declared.keys() - seen.keys())]
    for label, names in sorted(seen.items()):
        lines += [f"{label}: never with {name}" for name in sorted(declared[label] - names)]
    return [*lines, f"{len(seen)} of {len(declared)} events were emitted."]
