"""The signals of an outbox differ in everything that tells their files and requests apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from heliograph.delivery.signals import BY_NAME, BY_NUMBER, LOGS, SIGNALS, TRACES, OutboxSignal, signal_of_folder


def test_signals_differ() -> None:
    """Each signal has a name, a number in segments, and a form of the names of folders of its own."""
    for names in (BY_NAME, BY_NUMBER, {each.folder_suffix for each in SIGNALS}, {each.word for each in SIGNALS}):
        assert len(names) == len(SIGNALS)


@pytest.mark.parametrize(
    ("name", "signal"), [("1-abcdefgh", LOGS), ("1-abcdefgh.traces", TRACES), ("1-abcdefgh.of-a-later-release", LOGS)]
)
def test_folder_has_its_signal_in_its_name(name: str, signal: OutboxSignal) -> None:
    """A folder without a signal in its name has log records, as in the first releases."""
    assert signal_of_folder(Path("/outbox") / name) is signal


def test_request_of_a_signal_has_its_entries() -> None:
    """The classes of protobuf are those of one signal."""
    for signal in SIGNALS:
        assert signal.records_field in signal.scope_class.DESCRIPTOR.fields_by_name
        assert signal.scope_class.DESCRIPTOR.full_name.split(".")[2] in signal.request_class.DESCRIPTOR.full_name


def test_failed_assertion_names_the_signal() -> None:
    """The text of a signal is short: all of its fields would fill a screen."""
    assert repr(TRACES) == "<signal traces>"
