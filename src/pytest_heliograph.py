"""The pytest plugin of heliograph: a fixture with the events of a test, and a list of the events that no test emitted.

pytest loads it by itself where heliograph is installed. It imports heliograph in its functions alone: a plugin is imported before the
measurement of coverage begins, and in test runs that do not use heliograph at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from heliograph.schema.read.event import EventReader
    from heliograph.testing import Captured

_OPTION: Final = "--heliograph-coverage"
_READERS: Final = pytest.StashKey["list[EventReader]"]()


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
        from heliograph.schema.registry import on_register

        readers = config.stash[_READERS] = []
        on_register.append(readers.append)
        config.add_cleanup(lambda: on_register.remove(readers.append))


@pytest.fixture
def heliograph_events() -> Iterator[Captured]:
    """The events and token operations of the test, of every `heliograph.Host` and `Datasette` in the process."""
    from heliograph.testing import capture

    with capture() as captured:
        yield captured


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the events and attributes that no test emitted, if ``--heliograph-coverage`` was given."""
    readers = config.stash.get(_READERS, None)
    if readers is not None:
        terminalreporter.section("heliograph: coverage of events")
        for line in report(readers):
            terminalreporter.line(line)


def report(readers: list[EventReader]) -> list[str]:
    """Return a line for each registered event or attribute that was not emitted, and a summary line.

    An event that several registries have counts as emitted if one of its readers saw it.
    """
    from heliograph.values.text import counted

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
