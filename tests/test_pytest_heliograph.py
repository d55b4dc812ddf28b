"""The pytest plugin: a fixture with the events of a test, and an option that lists events and attributes that no test emitted."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

pytest_plugins = ["pytester"]

TESTS = """
from dataclasses import dataclass
from heliograph import Event, Host, hookimpl

@dataclass
class SeenEvent(Event):
    name = "seen"
    number: int
    note: str | None = None

@dataclass
class UnseenEvent(Event):
    name = "unseen"

class Plugin:
    @hookimpl
    def register_events(self):
        return [SeenEvent, UnseenEvent]

def test_one():
    with Host(plugins=[Plugin()]) as host:
        host.track(SeenEvent(number=1))

def test_two():
    with Host(plugins=[Plugin()]) as host:
        host.track(SeenEvent(number=2))
"""


FIXTURE_TESTS = """
from dataclasses import dataclass
from heliograph import Event, Host

@dataclass
class SeenEvent(Event):
    name = "seen"
    number: int

host = Host(events=[SeenEvent])

def test_one(heliograph_events):
    host.track(SeenEvent(number=1))
    heliograph_events.assert_tracked(SeenEvent, number=1)

def test_two(heliograph_events):
    with Host(events=[SeenEvent]) as another:
        another.track(SeenEvent(number=2))
    assert heliograph_events.of(SeenEvent) == [heliograph_events.events[0].event]
    heliograph_events.assert_not_tracked(SeenEvent, number=1)
"""

IMPORTS_NOTHING = """
import sys

def test_heliograph_is_not_imported():
    assert not [name for name in sys.modules if name.split(".")[0] == "heliograph"]
"""


def run(pytester: pytest.Pytester, tests: str, *args: str) -> pytest.RunResult:
    pytester.makepyfile(tests)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *args)


def assert_coverage_is_listed(result: pytest.RunResult) -> None:
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "*heliograph: coverage of events*",
            "app.unseen: never emitted",
            "app.seen: never with app.seen.note",
            "Emitted: 1 of 2 events.",
        ]
    )


@pytest.fixture
def no_other_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """No plugin is loaded but those that the command names. Those of this machine take seconds to load."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def test_pytest_finds_the_plugin() -> None:
    """The entry point of the distribution names the module."""
    (entry_point,) = entry_points(group="pytest11", name="pytest_heliograph")
    assert entry_point.value == "pytest_heliograph"


def test_plugin_may_be_found_and_named(pytester: pytest.Pytester) -> None:
    """A command that names the plugin by its former name works where pytest loads it by itself as well."""
    others = (f"-pno:{each.name}" for each in entry_points(group="pytest11") if each.name != "pytest_heliograph")
    result = run(pytester, TESTS, *others, "-p", "heliograph.pytest_plugin", "--heliograph-coverage")

    assert_coverage_is_listed(result)


@pytest.mark.usefixtures("no_other_plugins")
def test_plugin_has_its_former_name(pytester: pytest.Pytester) -> None:
    """The option works with the former name alone."""
    assert_coverage_is_listed(run(pytester, TESTS, "-p", "heliograph.pytest_plugin", "--heliograph-coverage"))


@pytest.mark.usefixtures("no_other_plugins")
def test_fixture_has_the_events_of_each_test(pytester: pytest.Pytester) -> None:
    """Each test has its own events, of a host of the program and of one that the test made. Without the option, nothing is printed."""
    result = run(pytester, FIXTURE_TESTS, "-p", "pytest_heliograph")

    result.assert_outcomes(passed=2)
    assert "heliograph: coverage" not in result.stdout.str()


@pytest.mark.usefixtures("no_other_plugins")
def test_plugin_imports_nothing_where_it_is_not_used(pytester: pytest.Pytester) -> None:
    """A test run of another project is as it was."""
    run(pytester, IMPORTS_NOTHING, "-p", "pytest_heliograph").assert_outcomes(passed=1)
