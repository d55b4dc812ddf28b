"""The option of the pytest plugin lists events and attributes that no test emitted."""

from __future__ import annotations

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


def run(pytester: pytest.Pytester, *args: str) -> pytest.RunResult:
    pytester.makepyfile(TESTS)
    return pytester.runpytest_subprocess("-p", "heliograph.pytest_plugin", "-p", "no:cacheprovider", *args)


def test_option_lists_events_that_no_test_emitted(pytester: pytest.Pytester) -> None:
    """The option lists events and attributes that no host of the session has emitted."""
    result = run(pytester, "--heliograph-coverage")

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "*heliograph: coverage of events*",
            "app.unseen: never emitted",
            "app.seen: never with app.seen.note",
            "Emitted: 1 of 2 events.",
        ]
    )


def test_without_the_option_nothing_is_printed(pytester: pytest.Pytester) -> None:
    """Without the option, the plugin prints nothing."""
    result = run(pytester)

    result.assert_outcomes(passed=2)
    assert "heliograph: coverage" not in result.stdout.str()
