"""A plugin of Datasette with an event class, for `--plugins-dir`."""

from __future__ import annotations

import textwrap
from typing import Final

LUNCH: Final = textwrap.dedent("""
    from dataclasses import dataclass

    from datasette import hookimpl
    from datasette.events import Event


    @dataclass
    class LunchEvent(Event):
        name = "lunch"
        meal: str


    @hookimpl
    def register_events():
        return [LunchEvent]
""")
