"""Wrong arguments of an outbox processor are named at once: later they would have no effect, or fail in the middle of something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from delivery.outboxes import destination
from heliograph.delivery.processor_arguments import MAX_BYTES, check_processor_arguments
from heliograph.settings import OutboxFullPolicy, OutboxWrite

VALID: Final[dict[str, Any]] = {
    "directory": "outbox",
    "destination": None,
    "transport": None,
    "max_bytes": MAX_BYTES,
    "when_full": OutboxFullPolicy.REJECT,
    "durable": False,
    "write": OutboxWrite.AUTO,
    "strict": False,
}


class Sent:
    """All that a transport must have to be taken for one."""

    def send(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("directory", Path("outbox")),
        ("destination", destination("http://127.0.0.1:9")),
        ("transport", Sent()),
        ("max_bytes", 1),
        *(("when_full", policy) for policy in OutboxFullPolicy),
        *(("write", write) for write in OutboxWrite),
        ("durable", True),
        ("strict", True),
    ],
)
def test_each_documented_value_is_accepted(name: str, value: object) -> None:
    """The check of arguments raises nothing for a value that the documentation permits."""
    check_processor_arguments(**{**VALID, name: value})


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        *(("directory", value, "must be a path, such as") for value in (None, 1, b"outbox", ["outbox"])),
        ("directory", "", "is empty; write a path, such as"),
        *(("destination", value, "must be an object of Destination") for value in ("http://localhost:4318", {}, 0)),
        *(("transport", value, "must be a transport") for value in ("http", 0)),
        *(("max_bytes", value, "must be a whole number of bytes") for value in (None, "1GB", 1e9, True, float("inf"))),
        *(("max_bytes", value, "must be above 0") for value in (0, -1)),
        *(("when_full", value, "must be one of OutboxFullPolicy") for value in (None, "drop_oldest", 1)),
        *(("write", value, "must be one of OutboxWrite") for value in (None, "map")),
        *((name, value, "must be True or False") for name in ("durable", "strict") for value in (None, "no", 1)),
    ],
)
def test_wrong_argument_is_named(name: str, value: object, wanted: str) -> None:
    """The error says which values the argument may have."""
    with pytest.raises((TypeError, ValueError), match=f"the argument `{name}` {wanted}"):
        check_processor_arguments(**{**VALID, name: value})
