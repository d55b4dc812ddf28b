"""Find the processors that a logger of the SDK hands its records to."""

from __future__ import annotations

from collections.abc import Iterable


def processors_of(logger: object) -> Iterable[object]:
    """Return the processors. There are none for a logger that is not of the SDK, or in a release of the SDK with other private fields."""
    processors: Iterable[object] = getattr(
        getattr(logger, "_multi_log_record_processor", None), "_log_record_processors", ()
    )
    return processors
