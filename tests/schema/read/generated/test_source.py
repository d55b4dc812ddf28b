"""The documentation of the generator shows what it really writes, and equal sources are compiled once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from heliograph import Event
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.read import generated
from heliograph.schema.read.field import field_readers
from heliograph.schema.read.generated.function import function_source
from heliograph.schema.read.generated.source import Source, _compiled


@dataclass
class Line:
    sku: str
    color: Literal["red", "blue"] | None


@dataclass
class ShippedEvent(Event):
    name = "shipped"
    express: bool
    note: str | None
    tags: dict[str, Any]
    lines: list[Line]


def test_example_is_what_is_generated() -> None:
    """The source in the docstring is that of the class above it."""
    schema = compile_schema(ShippedEvent, namespace="app")
    documented = re.split(r"^\S.*::$", generated.__doc__ or "", flags=re.MULTILINE)[-1]
    indented = [line for line in documented.splitlines() if line.startswith("    ")]
    source = function_source(field_readers(schema), schema.policy).text()

    assert [line.removeprefix("    ") for line in indented] == [line for line in source.splitlines() if line]


def test_equal_sources_are_compiled_once() -> None:
    """Their functions have constants and code of their own."""
    functions, before = [], _compiled.cache_info().hits
    for value in (1, 2):
        source = Source()
        constant = source.constant("value", value)
        read = source.function("read", "", [f"return {constant}"])
        functions.append(source.compile({})[read])

    assert [function() for function in functions] == [1, 2]
    assert functions[0].__code__ is not functions[1].__code__
    assert _compiled.cache_info().hits == before + 1
