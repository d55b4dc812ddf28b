"""Import the source of drafted classes."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager

from heliograph import Event
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.model.event import EventSchema


@contextmanager
def imported(source: str) -> Iterator[types.ModuleType]:
    """Import a module with this source; it can be imported by name inside the block."""
    module = types.ModuleType("drafted")
    sys.modules["drafted"] = module
    try:
        exec(compile(source, "drafted", "exec"), vars(module))
        yield module
    finally:
        del sys.modules["drafted"]


def schemas_of(source: str) -> list[EventSchema]:
    """Return the schemas of the event classes in this source."""
    with imported(source) as module:
        classes = [each for each in vars(module).values() if isinstance(each, type) and each.__module__ == "drafted"]
        return [compile_schema(cls, namespace="app") for cls in classes if issubclass(cls, Event)]
