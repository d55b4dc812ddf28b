"""The profiles of Hypothesis, by the number of examples that it tries for a property."""

from __future__ import annotations

from hypothesis import settings

WHOLE = 100
QUICK = 25


def register() -> None:
    """Register `whole` and `quick`, and load `whole`. An example has no limit of time, and a failure prints how to repeat it."""
    settings.register_profile("whole", deadline=None, print_blob=True, max_examples=WHOLE)
    settings.register_profile("quick", deadline=None, print_blob=True, max_examples=QUICK)
    settings.load_profile("whole")


def examples(count: int) -> int:
    """Return how many examples to try of a property that gets this number in the profile `whole`."""
    return count * settings().max_examples // WHOLE
