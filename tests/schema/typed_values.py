"""Strategies for annotations and values, for properties that every event class must have."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

import msgspec
import pydantic
import pydantic.dataclasses
from hypothesis import strategies as st
from typing_extensions import Required, TypedDict

from values.boxes import Frozen, Struct


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Word(str, enum.Enum):
    A = "a"
    O = "ö"  # noqa: E741


class Text(str):  # noqa: SLOT000 — as somebody writes it
    pass


@dataclass
class Point:
    x: int
    y: float = 0.0
    label: str | None = None


@dataclass
class Line:
    start: Point
    end: Point | None
    weight: Annotated[float, msgspec.Meta(ge=0)] = 1.0


@dataclass
class Node:
    value: int
    children: list[Node]


class Permission(enum.IntFlag):
    READ = 1
    WRITE = 2


class Access(enum.Flag):
    SEE = 1
    EDIT = 4


T = TypeVar("T")
Small = Annotated[int, msgspec.Meta(ge=0, le=2)]


@dataclass
class Box(Generic[T]):
    content: T
    others: list[T]


@dataclass
class SmallBox(Box[Small]):
    pass


class Numbers(list[Small]):
    pass


class Pair(NamedTuple):
    x: int
    y: str = ""


class Options(TypedDict, total=False):
    size: Required[int]
    color: str


class Model(pydantic.BaseModel):
    size: Annotated[int, pydantic.Field(ge=0)]
    names: list[str] = []


class GenericModel(pydantic.BaseModel, Generic[T]):
    content: T


@pydantic.dataclasses.dataclass
class Checked:
    size: int = pydantic.Field(default=1, lt=5)


TEXTS = st.text(st.characters(categories=None), max_size=8)
INTEGERS = st.integers(-(2**70), 2**70) | st.integers(-3, 3)
FLOATS = st.floats() | st.sampled_from([0.0, 3.0, float("nan"), float("inf")])
POINTS = st.builds(Point, x=st.integers(-3, 3), y=st.floats(-3, 3), label=st.none() | TEXTS)
LINES = st.builds(Line, start=POINTS, end=st.none() | POINTS, weight=st.floats(-1, 3))
NODES = st.builds(
    Node, value=st.integers(-3, 3), children=st.just([]) | st.lists(st.builds(Node, st.just(1), st.just([])))
)

SMALL = st.integers(-1, 3)
FLAGS = st.sampled_from([Permission(value) for value in range(4)])
ACCESSES = st.sampled_from([Access(0), Access.SEE, Access.EDIT, Access.SEE | Access.EDIT])
MODELS = st.builds(Model.model_construct, size=SMALL, names=st.lists(TEXTS, max_size=2))

FITTING: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (str, TEXTS),
    (int, INTEGERS),
    (float, FLOATS),
    (bool, st.booleans()),
    (Any, st.none() | TEXTS),
    (bytes, st.binary(max_size=5)),
    (dt.datetime, st.datetimes(timezones=st.none() | st.just(dt.timezone.utc))),
    (dt.date, st.dates()),
    (dt.time, st.times()),
    (dt.timedelta, st.timedeltas(dt.timedelta(-9), dt.timedelta(9))),
    (decimal.Decimal, st.decimals(allow_nan=False, places=2)),
    (uuid.UUID, st.uuids()),
    (Color, st.sampled_from(Color)),
    (Level, st.sampled_from(Level)),
    (Word, st.sampled_from(Word)),
    (Literal["a", "b"], st.sampled_from(["a", "b", "c"])),
    (Literal[1, 2], st.integers(0, 3)),
    (list[str], st.lists(TEXTS, max_size=3)),
    (list[int], st.lists(INTEGERS, max_size=3)),
    (list[float], st.lists(FLOATS | st.integers(-2, 2), max_size=3)),
    (list[bool], st.lists(st.booleans(), max_size=3)),
    (list[Point], st.lists(POINTS, max_size=2)),
    (list[list[int]], st.lists(st.lists(st.integers(0, 3), max_size=2), max_size=2)),
    (set[int], st.sets(st.integers(0, 9), max_size=3)),
    (tuple[int, str], st.tuples(st.integers(0, 3), TEXTS)),
    (tuple[int, ...], st.lists(st.integers(0, 3), max_size=3).map(tuple)),
    (dict[str, int], st.dictionaries(TEXTS, st.integers(0, 9), max_size=3)),
    (dict[int, Any], st.dictionaries(st.integers(0, 9), TEXTS, max_size=3)),
    (dict, st.dictionaries(TEXTS, TEXTS, max_size=3)),
    (Point, POINTS),
    (Line, LINES),
    (Node, NODES),
    (Permission, FLAGS),
    (Access, ACCESSES),
    (list[Permission], st.lists(FLAGS, max_size=3)),
    (Box[int], st.builds(Box, content=SMALL, others=st.lists(SMALL, max_size=2))),
    (Box[Small], st.builds(Box, content=SMALL, others=st.lists(SMALL, max_size=2))),
    (Box[Point], st.builds(Box, content=POINTS, others=st.lists(POINTS, max_size=1))),
    (SmallBox, st.builds(SmallBox, content=SMALL, others=st.lists(SMALL, max_size=2))),
    (Frozen[Small], st.builds(Frozen, content=SMALL)),
    (list[Frozen[str]], st.lists(st.builds(Frozen, content=TEXTS), max_size=2)),
    (Struct[Box[str]], st.builds(Struct, content=st.builds(Box, content=TEXTS, others=st.just([])))),
    (Numbers, st.lists(SMALL, max_size=3).map(Numbers)),
    (Pair, st.builds(Pair, x=SMALL, y=TEXTS)),
    (Options, st.fixed_dictionaries({"size": SMALL}, optional={"color": TEXTS})),
    (Model, MODELS),
    (list[Model], st.lists(MODELS, max_size=2)),
    (GenericModel[Small], st.builds(GenericModel[Small].model_construct, content=SMALL)),
    (Checked, st.builds(Checked, size=SMALL)),
    (Point | Pair | Options, POINTS | st.builds(Pair, x=SMALL)),
    (Point | Model, POINTS | MODELS),
    (Point | str, POINTS | TEXTS),
    (Point | dict[str, int], POINTS | st.dictionaries(TEXTS, SMALL, max_size=2)),
    (list[Point | Line], st.lists(POINTS | LINES, max_size=2)),
    (dt.datetime | str, st.datetimes() | TEXTS),
    (Color | str, st.sampled_from(Color) | TEXTS),
    (list[int] | tuple[str, ...], st.lists(SMALL, max_size=2) | st.lists(TEXTS, max_size=2).map(tuple)),
    (int | str, st.integers(0, 9) | TEXTS),
    (int | float, st.integers(0, 9) | FLOATS),
    (Annotated[int, msgspec.Meta(ge=1, lt=5)], st.integers(-3, 9)),
    (Annotated[int, msgspec.Meta(multiple_of=3)], st.integers(-9, 9)),
    (Annotated[float, msgspec.Meta(gt=0, le=2)], st.floats(-3, 3)),
    (Annotated[str, msgspec.Meta(min_length=2, max_length=3)], TEXTS),
    (Annotated[str, msgspec.Meta(pattern="^[a-z]+$")], st.from_regex("[a-z]{1,3}", fullmatch=True) | TEXTS),
    (Annotated[bytes, msgspec.Meta(min_length=2, max_length=4)], st.binary(max_size=6)),
    (Annotated[list[str], msgspec.Meta(min_length=1, max_length=2)], st.lists(TEXTS, max_size=3)),
    (Annotated[list[int], msgspec.Meta(max_length=2)], st.lists(st.integers(0, 9), max_size=3)),
    (Annotated[dict[str, int], msgspec.Meta(max_length=1)], st.dictionaries(TEXTS, st.integers(0, 9), max_size=2)),
]
"""Annotations, each with a strategy for values that mostly fit it."""

ODD = st.one_of(
    st.none(),
    st.just(object()),
    st.just(Text("text")),
    st.just(Word.O),
    st.sampled_from(
        [True, 2**70, 1.5, float("nan"), "x", "\udc80", b"x", [], {}, [1, "a"], {"x": 1}, {"x": "1", "z": 2}]
    ),
    POINTS,
    st.lists(st.none() | st.integers() | TEXTS, max_size=2),
)
"""A strategy for values of many kinds, some of which fit an annotation."""


@st.composite
def annotated_values(draw: st.DrawFn) -> tuple[Any, Any]:
    """A strategy for an annotation, possibly optional, with a value that may fit it."""
    hint, values = draw(st.sampled_from(FITTING))
    if draw(st.booleans()) and hint is not Any:
        hint, values = hint | None, values | st.none()
    return hint, draw(values | ODD)
