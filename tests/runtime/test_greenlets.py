"""Programs whose threads are greenlets are recognized, whenever they replace the functions of `threading`."""

from __future__ import annotations

import pytest

from packages import require
from scripts import python


@pytest.mark.parametrize(
    ("library", "patch"),
    [
        ("gevent", "from gevent import monkey; monkey.patch_all()"),
        ("eventlet", "import eventlet; eventlet.monkey_patch()"),
    ],
)
def test_threads_that_become_greenlets(library: str, patch: str) -> None:
    """The answer changes when the program replaces the functions; an import alone changes nothing."""
    require(library)
    ran = python(
        f"""
import {library}
from heliograph.runtime.greenlets import threads_are_greenlets
before = threads_are_greenlets()
{patch}
report(before=before, after=threads_are_greenlets())
""",
        PYTHONWARNINGS="ignore",
    )

    assert ran.only == {"before": False, "after": True}
