"""Modules of drafted classes, imported."""

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
    """The module of this source, for as long as the block runs."""
    module = types.ModuleType("drafted")
    sys.modules["drafted"] = module
    try:
        exec(compile(source, "drafted", "exec"), vars(module))
        yield module
    finally:
        del sys.modules["drafted"]


def schemas_of(source: str) -> list[EventSchema]:
    """The schemas of the event classes in this source."""
    with imported(source) as module:
        classes = [each for each in vars(module).values() if isinstance(each, type) and each.__module__ == "drafted"]
        return [compile_schema(cls, namespace="app") for cls in classes if issubclass(cls, Event)]
