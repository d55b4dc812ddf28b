"""An event is compared with its contract, and each violation has a kind and a path."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import uuid
from dataclasses import dataclass, field, make_dataclass
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import Event
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.model.types import (
    AnyType,
    ArrayType,
    BooleanType,
    EnumType,
    FieldSchema,
    IntegerType,
    MapType,
    NullType,
    NumberType,
    StringType,
    Type,
    UnionType,
)
from heliograph.schema.read.event import EventReader
from heliograph.schema.read.validation import (
    MAX_LISTED,
    Violation,
    ViolationKind,
    describe_violations,
    violations_of,
    violations_of_fields,
)
from schema.typed_values import Access, Node, Pair


class Color(enum.Enum):
    RED = "red"


class Permission(enum.IntFlag):
    READ = 1
    WRITE = 2
    READ_WRITE = 3


Many: Any = enum.IntFlag("Many", list("abcdefg"))


class Options(TypedDict, total=False):
    size: int


@dataclass
class Item:
    sku: str
    count: Annotated[int, msgspec.Meta(ge=1)] = 1


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
        (Permission, Permission.READ | Permission.WRITE, []),
        (Permission, Permission(0), []),
        (Permission, ~Permission.READ, []),
        (Permission, Permission(8), CONSTRAINT),
        (Permission, 3, []),
        (Permission, 4, CONSTRAINT),
        (Permission, "READ", MISMATCH),
        (Permission | None, Permission.READ_WRITE, []),
        (Permission | None, None, []),
        (Permission | str, Permission(0), []),
        (list[Permission], [Permission(0), Permission.READ | Permission.WRITE], []),
        (dict[str, Permission], {"a": Permission.READ | Permission.WRITE}, []),
        (Access, Access.SEE | Access.EDIT, []),
        (Access, Access(0), []),
        (Access, ~Access.SEE, []),
        (Many, Many(127), []),
        (Many, Many(128), CONSTRAINT),
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
        (Node, Node(1, [Node(2, [Node("a", [])])]), ["datatype-mismatch: x.children[0].children[0].value"]),  # type: ignore[arg-type]
        (int | str, 1.5, MISMATCH),
        (int | list[int], ["a"], ["datatype-mismatch: x[0]"]),
        (Item | None, {"sku": 1}, ["datatype-mismatch: x.sku"]),
        (Any, object(), []),
    ],
)
def test_violation(hint: Any, value: object, found: list[str]) -> None:
    """A violation has a kind and a path, and nothing else."""
    assert violations(hint, value) == found


def test_field_with_a_default_that_is_none_is_of_the_wrong_type() -> None:
    """A field with a default is not required, but `None` does not fit its type."""
    cls = make_dataclass("E", [("x", str, field(default="a"))], bases=(Event,), namespace={"name": "e"})
    found: list[Violation] = []
    EventReader(compile_schema(cls, namespace="app")).attributes(cls(None), found)

    assert found == [Violation(ViolationKind.DATATYPE_MISMATCH, "x")]


def test_deleted_field_is_missing() -> None:
    """A field of a plain dataclass can be deleted."""
    cls = make_dataclass("E", [("x", str)], bases=(Event,), namespace={"name": "e"})
    event = cls("a")
    del event.x
    found: list[Violation] = []

    assert EventReader(compile_schema(cls, namespace="app")).attributes(event, found) == {}
    assert found == [Violation(ViolationKind.REQUIRED_MISSING, "x")]


def test_at_most_16_violations_are_listed() -> None:
    """The others are counted, so that an attacker cannot fill an attribute."""
    texts = describe_violations([Violation(ViolationKind.DATATYPE_MISMATCH, f"x[{index}]") for index in range(1000)])

    assert len(texts) == MAX_LISTED + 1
    assert texts[-1] == "and 984 more"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_paths_contain_no_values(value: object) -> None:
    """A path has declared names and indices alone, whatever the value is."""
    for text in violations(dict[str, list[Item]], value):
        kind, _, path = text.partition(": ")
        assert kind in {each.value for each in ViolationKind}
        assert not set(path.replace("{}", "").replace("x", "", 1)) - set("[]0123456789.skucount")


def test_exactly_16_violations_are_all_listed() -> None:
    """A list that is just full has no line that counts the others."""
    violations_16 = [Violation(ViolationKind.DATATYPE_MISMATCH, "x")] * MAX_LISTED

    assert "and 0 more" not in describe_violations(violations_16)
    assert describe_violations(violations_16) == ["datatype-mismatch: x"] * 16
    assert describe_violations([*violations_16, Violation(ViolationKind.UNPLANNED_EVENT)])[-1] == "and 1 more"
    assert describe_violations([Violation(ViolationKind.UNPLANNED_EVENT)]) == ["unplanned-event"]


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("kind", [IntegerType(), NumberType(), NumberType(ge=0, multiple_of=0.5)])
def test_number_that_json_cannot_write_has_the_wrong_type(value: float, kind: Type) -> None:
    """Such a number is no form. Whoever passes it gets a violation, and no exception."""
    assert list(violations_of(value, kind, "x")) == [Violation(ViolationKind.DATATYPE_MISMATCH, "x")]


@pytest.mark.parametrize("value", [1e300, -1e300, float(2**63), 2**63, -(2**63) - 1])
def test_number_beyond_64_bits_is_no_integer(value: float) -> None:
    """A float can be whole and larger than any integer on the wire."""
    assert list(violations_of(value, IntegerType(), "x")) == [Violation(ViolationKind.DATATYPE_MISMATCH, "x")]
    assert list(violations_of(float(-(2**63)), IntegerType(), "x")) == []


@pytest.mark.parametrize(
    ("options", "form", "found"),
    [
        # no option has the right type, or several have: only the mismatch of the whole
        ((IntegerType(), StringType()), [], ["datatype-mismatch: x"]),
        ((ArrayType(items=IntegerType()), ArrayType(items=StringType())), [None], ["datatype-mismatch: x"]),
        ((StringType(max_length=1), StringType(patterns=("^a",))), "bb", ["datatype-mismatch: x"]),
        # exactly one has
        ((IntegerType(ge=5), StringType()), 3, ["constraint-violated: x"]),
        ((ArrayType(items=IntegerType()), StringType()), ["a"], ["datatype-mismatch: x[0]"]),
        ((ArrayType(items=IntegerType()), StringType(), NullType()), ["a"], ["datatype-mismatch: x[0]"]),
        # an optional type is reported without its option `None`
        ((ArrayType(items=IntegerType()), NullType()), 7, ["datatype-mismatch: x"]),
        ((IntegerType(ge=5), NullType()), 3, ["constraint-violated: x"]),
        # one that fits
        ((StringType(max_length=1), StringType(patterns=("^b",))), "bb", []),
    ],
)
def test_violations_of_a_union(options: tuple[Type, ...], form: object, found: list[str]) -> None:
    """The violations are those of the only option with the right type, or one mismatch."""
    assert list(map(str, violations_of(form, UnionType(options=options), "x"))) == found


@pytest.mark.parametrize(
    ("kind", "form", "is_valid"),
    [
        (IntegerType(ge=1), 1, True),
        (IntegerType(ge=1), 0, False),
        (IntegerType(gt=1), 1, False),
        (IntegerType(gt=1), 2, True),
        (IntegerType(le=1), 1, True),
        (IntegerType(le=1), 2, False),
        (IntegerType(lt=1), 1, False),
        (IntegerType(lt=1), 0, True),
        (NumberType(multiple_of=0.5), 1.5, True),
        (NumberType(multiple_of=0.1), 0.3, False),
        (IntegerType(multiple_of=3), 9, True),
        (IntegerType(multiple_of=2), 2**62 + 1, False),  # as a float, it would be even
        (NumberType(), True, False),
        (NumberType(), "1", False),
        (StringType(min_length=2), "a", False),
        (StringType(min_length=2, max_length=2), "aa", True),
        (StringType(max_length=2), "aaa", False),
        (StringType(patterns=("a", "b")), "ab", True),
        (StringType(patterns=("a", "b")), "a", False),
        (ArrayType(items=AnyType(), min_length=1), [], False),
        (ArrayType(items=AnyType(), max_length=1), [1, 2], False),
        (ArrayType(items=None, prefix=(IntegerType(),), max_length=1), [1, 2], False),
        (MapType(keys=StringType(), values=AnyType(), max_length=1), {"a": 1, "b": 2}, False),
        (EnumType(values=(1, "a", None)), None, True),
        (EnumType(values=(1,)), 1.0, True),
        (EnumType(values=(1,)), True, False),
        (EnumType(values=(True,)), 1, False),
        (BooleanType(), True, True),
        (BooleanType(), 0, False),
        (NullType(), None, True),
        (NullType(), 0, False),
    ],
)
def test_bounds(kind: Type, form: object, is_valid: bool) -> None:
    """The bounds themselves are valid, the next values are not."""
    assert (list(violations_of(form, kind, "x")) == []) is is_valid


def test_item_after_the_end_of_a_tuple_is_reported_by_the_length_alone() -> None:
    """A further item has no type that it could violate."""
    kind = ArrayType(items=None, prefix=(IntegerType(),), min_length=1, max_length=1)

    assert list(map(str, violations_of([1, "a", "b"], kind, "x"))) == ["constraint-violated: x"]


def test_fields_without_a_declaration_are_allowed() -> None:
    """An event may carry more than its contract."""
    field = FieldSchema(name="a", attribute=None, type=UnionType(options=(IntegerType(), NullType())), required=True)

    assert list(violations_of_fields({"a": 1, "b": object()}, (field,))) == []
    assert list(violations_of_fields({"a": None}, (field,))) == []
    assert list(map(str, violations_of_fields({}, (field,), "e."))) == ["required-missing: e.a"]
    assert list(violations_of_fields({}, (dataclasses.replace(field, required=False),))) == []
