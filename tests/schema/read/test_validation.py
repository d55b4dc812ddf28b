"""What is wrong with an event is told by kind and path."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from dataclasses import dataclass, field, make_dataclass
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import Event
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.read.event import EventReader
from heliograph.schema.read.validation import (
    MAX_SHOWN,
    Violation,
    ViolationKind,
    describe_violations,
)


class Color(enum.Enum):
    RED = "red"


class Pair(NamedTuple):
    left: int
    right: str


class Options(TypedDict, total=False):
    size: int


@dataclass
class Item:
    sku: str
    count: Annotated[int, msgspec.Meta(ge=1)] = 1


@dataclass
class Tree:
    value: int
    below: list[Tree] = field(default_factory=list)


def violations(hint: Any, value: object) -> list[str]:
    cls = make_dataclass("E", [("x", hint)], bases=(Event,), namespace={"name": "e"})
    found: list[Violation] = []
    EventReader(compile_schema(cls, namespace="app")).attributes(cls(value), found)
    return list(map(str, found))


MISMATCH, CONSTRAINT, MISSING = ["datatype-mismatch: x"], ["constraint-violated: x"], ["required-missing: x"]
NOW = dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc)


@pytest.mark.parametrize(
    ("hint", "value", "found"),
    [
        (str, "a", []),
        (str, 1, MISMATCH),
        (str, None, MISSING),
        (str | None, None, []),
        (int, True, MISMATCH),
        (int, 3.0, []),
        (int, 3.5, MISMATCH),
        (int, 2**63, MISMATCH),
        (float, 3, []),
        (float, float("inf"), MISMATCH),
        (bool, 1, MISMATCH),
        (dt.datetime, NOW, []),
        (dt.datetime, "2026-01-02T03:04:05Z", []),
        (dt.datetime, "yesterday", MISMATCH),
        (dt.datetime, dt.date(2026, 1, 2), MISMATCH),
        (Annotated[dt.datetime, msgspec.Meta(tz=True)], NOW.replace(tzinfo=None), CONSTRAINT),
        (Annotated[dt.datetime, msgspec.Meta(tz=False)], NOW, CONSTRAINT),
        (Annotated[dt.datetime, msgspec.Meta(tz=False)], NOW.replace(tzinfo=None), []),
        (Annotated[dt.time, msgspec.Meta(tz=False)], dt.time(1, tzinfo=dt.timezone(dt.timedelta(hours=5))), CONSTRAINT),
        (dt.date, dt.date(2026, 1, 2), []),
        (dt.date, "2026-13-02", MISMATCH),
        (dt.timedelta, dt.timedelta(days=-1, seconds=3), []),
        (decimal.Decimal, decimal.Decimal("NaN"), []),
        (decimal.Decimal, "1,5", MISMATCH),
        (uuid.UUID, uuid.uuid4(), []),
        (uuid.UUID, "x", MISMATCH),
        (bytes, b"abc", []),
        (bytes, "not base64!", MISMATCH),
        (Annotated[bytes, msgspec.Meta(min_length=4)], b"abc", CONSTRAINT),
        (Annotated[bytes, msgspec.Meta(max_length=4)], b"abcd", []),
        (Annotated[bytes, msgspec.Meta(max_length=4)], b"abcde", CONSTRAINT),
        (Color, Color.RED, []),
        (Color, "red", []),
        (Color, "blue", CONSTRAINT),
        (Color, 3, MISMATCH),
        (Literal[1, 2], 3, CONSTRAINT),
        (Literal[1, 2], True, MISMATCH),
        (Literal["a"] | None, None, []),
        (Annotated[int, msgspec.Meta(ge=1, le=5)], 6, CONSTRAINT),
        (Annotated[int, msgspec.Meta(multiple_of=2)], 3, CONSTRAINT),
        (Annotated[float, msgspec.Meta(gt=0)], 0.0, CONSTRAINT),
        (Annotated[str, msgspec.Meta(max_length=2)], "abc", CONSTRAINT),
        (Annotated[str, msgspec.Meta(pattern="^a")], "b", CONSTRAINT),
        (Annotated[list[int], msgspec.Meta(min_length=1)], [], CONSTRAINT),
        (list[int], [1, "a", 2.5], ["datatype-mismatch: x[1]", "datatype-mismatch: x[2]"]),
        (list[int], (1, 2), []),
        (list[int], "12", MISMATCH),
        (set[int], {1, 2}, []),
        (tuple[int, str], (1, "a"), []),
        (tuple[int, str], (1,), CONSTRAINT),
        (tuple[int, str], ("a", "a"), ["datatype-mismatch: x[0]"]),
        (Pair, Pair(1, "a"), []),
        (dict[str, int], {"secret key": "a"}, ["datatype-mismatch: x{}"]),
        (dict[int, int], {1: 1}, []),
        (dict[int, int], {"one": 1}, ["constraint-violated: x{}"]),
        (dict[Literal["a"], int], {"b": 1}, ["constraint-violated: x{}"]),
        (Annotated[dict[str, int], msgspec.Meta(min_length=1)], {}, CONSTRAINT),
        (Options, {"size": 1}, []),
        (Options, {"size": "a"}, ["datatype-mismatch: x.size"]),
        (Options, {}, []),
        (Item, Item("a"), []),
        (Item, {"sku": "a", "more": 1}, []),
        (Item, {"count": 0}, ["required-missing: x.sku", "constraint-violated: x.count"]),
        (Item, [], MISMATCH),
        (list[Item], [Item("a"), Item(3)], ["datatype-mismatch: x[1].sku"]),  # type: ignore[arg-type]
        (Tree, Tree(1, [Tree(2, [Tree("a")])]), ["datatype-mismatch: x.below[0].below[0].value"]),  # type: ignore[arg-type]
        (int | str, 1.5, MISMATCH),
        (int | list[int], ["a"], ["datatype-mismatch: x[0]"]),
        (Item | None, {"sku": 1}, ["datatype-mismatch: x.sku"]),
        (Any, object(), []),
    ],
)
def test_violation(hint: Any, value: object, found: list[str]) -> None:
    """Kind and path, and nothing else."""
    assert violations(hint, value) == found


def test_field_with_a_default_that_is_none_is_of_the_wrong_type() -> None:
    """Nobody asked for it to be given, and what was given does not fit."""
    cls = make_dataclass("E", [("x", str, field(default="a"))], bases=(Event,), namespace={"name": "e"})
    found: list[Violation] = []
    EventReader(compile_schema(cls, namespace="app")).attributes(cls(None), found)

    assert found == [Violation(ViolationKind.DATATYPE_MISMATCH, "x")]


def test_field_that_was_deleted_is_missing() -> None:
    """A plain dataclass can lose what it was made with."""
    cls = make_dataclass("E", [("x", str)], bases=(Event,), namespace={"name": "e"})
    event = cls("a")
    del event.x
    found: list[Violation] = []

    assert EventReader(compile_schema(cls, namespace="app")).attributes(event, found) == {}
    assert found == [Violation(ViolationKind.REQUIRED_MISSING, "x")]


def test_many_violations_are_counted_and_not_all_named() -> None:
    """An attacker who fills a list fills no attribute."""
    texts = describe_violations([Violation(ViolationKind.DATATYPE_MISMATCH, f"x[{index}]") for index in range(1000)])

    assert len(texts) == MAX_SHOWN + 1
    assert texts[-1] == "and 984 more"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_paths_have_no_values_in_them(value: object) -> None:
    """Whatever stands in an event, its violations name declared fields, indices and nothing else."""
    for text in violations(dict[str, list[Item]], value):
        kind, _, path = text.partition(": ")
        assert kind in {each.value for each in ViolationKind}
        assert not set(path.replace("{}", "").replace("x", "", 1)) - set("[]0123456789.skucount")
