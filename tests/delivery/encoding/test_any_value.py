"""Any Python value as an `AnyValue` message."""

from __future__ import annotations

import collections
import enum
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from heliograph.delivery.encoding import any_value as module
from heliograph.delivery.encoding.any_value import BODY_LEVELS, any_value
from heliograph.otlp import decode_value


def decoded(value: object, levels: int = BODY_LEVELS) -> Any:
    return decode_value(AnyValue.FromString(any_value(value, levels)))


class Level(enum.IntEnum):
    HIGH = 3


class Text(str):
    __slots__ = ()


class Blob(bytes):
    __slots__ = ()


class Half(float):
    __slots__ = ()


class Pair(NamedTuple):
    a: int
    b: str


KNOWN = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**63 - 1,
    -(2**63),
    0.0,
    -0.0,
    1.5,
    float("inf"),
    "",
    "text",
    "ž",
    b"",
    b"\x00\xff",
    [],
    {},
    (),
    [None, 1, "a", [2.5]],
    ("a", ("b",)),
    {"a": {"b": [1]}, "": None},
    Level.HIGH,
    Text("text"),
    Half(0.5),
    Pair(1, "b"),
    collections.OrderedDict(a=1),
    collections.deque([1, 2]),
    range(3),
]


@pytest.mark.parametrize("value", KNOWN, ids=repr)
def test_bytes_are_those_of_the_sdk(value: Any) -> None:
    """Scalars, containers and subclasses of them."""
    record = ReadableLogRecord(
        log_record=LogRecord(body=value), resource=Resource({}), instrumentation_scope=InstrumentationScope("s")
    )
    [encoded] = encode_logs([record]).resource_logs[0].scope_logs[0].log_records

    assert any_value(value, BODY_LEVELS) == encoded.body.SerializeToString()


@pytest.mark.parametrize(
    ("value", "form"), [(2**63, str(2**63)), (-(2**63) - 1, str(-(2**63) - 1)), (2**2000, hex(2**2000))]
)
def test_integer_beyond_64_bits_is_text(value: int, form: str) -> None:
    assert decoded(value) == form
    assert decoded([value]) == [form]


def test_limit_of_values_is_for_all_levels_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """The values up to the limit are encoded, then ``<too large>``."""
    monkeypatch.setattr(module, "MAX_VALUES", 5)

    assert decoded([1, 2, 3, 4, 5]) == [1, 2, 3, 4, 5]
    assert decoded([1, 2, 3, 4, 5, 6, 7]) == [1, 2, 3, 4, 5, "<too large>"]
    assert decoded({"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "g": 7}) == {
        "a": 1,
        "b": 2,
        "c": 3,
        "d": 4,
        "e": 5,
        "<too large>": True,
    }
    assert decoded([[1, 2], [3, 4], 5]) == [[1, 2], [3, "<too large>"], "<too large>"]


def test_levels_that_are_left_are_used_exactly() -> None:
    """An array takes two, a map three; an empty container one."""
    assert decoded([1], levels=2) == [1]
    assert decoded([1], levels=1) == "<too deep>"
    assert decoded([], levels=1) == []
    assert decoded([], levels=0) == "<too deep>"
    assert decoded({"a": 1}, levels=3) == {"a": 1}
    assert decoded({"a": 1}, levels=2) == "<too deep>"
    assert decoded([[1], {"a": 1}, [1]], levels=4) == [[1], "<too deep>", [1]]


def test_cycle_is_cut_and_a_value_at_two_places_is_not() -> None:
    shared = [1]
    cycle: dict[str, Any] = {"shared": [shared, shared]}
    cycle["self"] = [cycle]

    assert decoded(cycle) == {"shared": [[1], [1]], "self": ["<cycle>"]}


class Unreadable:
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


class Unlisted(list):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        raise RuntimeError


class Unnamed:
    def __str__(self) -> str:
        raise RuntimeError

    __hash__ = object.__hash__


@pytest.mark.parametrize("kind", ["unreadable", "unlisted", "unnamed", "nested"])
def test_code_of_a_value_may_raise_anything(kind: str) -> None:
    """Its neighbours are what they were."""
    values = {
        "unreadable": Unreadable,
        "unlisted": lambda: Unlisted([1]),
        "unnamed": lambda: {Unnamed(): 1},
        "nested": lambda: {"a": Unreadable()},
    }
    found = decoded(["before", values[kind](), "after"])

    assert (found[0], found[-1], len(found)) == ("before", "after", 3)


def test_failure_inside_a_container_does_not_change_the_levels_after_it() -> None:
    """A list of many values that fail is as flat as any other."""
    found = decoded([Unlisted([1])] * 200 + [[["deep"]]])

    assert found[-1] == [["deep"]]


@given(st.dictionaries(st.integers() | st.none() | st.booleans() | st.text(max_size=3), st.integers(0, 9), max_size=5))
def test_keys_inside_a_value_are_texts(value: dict[Any, int]) -> None:
    message = AnyValue.FromString(any_value(value, BODY_LEVELS))

    assert [pair.key for pair in message.kvlist_value.values] == [str(key) for key in value]


def test_dict_that_changes_meanwhile_is_encoded_as_it_was() -> None:
    """Another thread may change it."""
    changing: dict[str, Any] = {}

    class Changing(list):  # type: ignore[type-arg]
        def __iter__(self) -> Any:
            changing["new"] = 1
            return super().__iter__()

    changing.update(first=Changing([1]), second=2)

    assert decoded(changing) == {"first": [1], "second": 2}


class Strange(int):
    def __le__(self, other: object) -> bool:
        return False

    __ge__ = __gt__ = __lt__ = __le__


def test_integer_of_another_class_is_compared_by_the_rules_of_int() -> None:
    assert decoded(Strange(3)) == 3
    assert decoded([Strange(-3)]) == [-3]


def test_value_that_has_no_form_either_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end of the stack, nothing more can be called."""

    def fail(_: object) -> object:
        raise RecursionError

    monkeypatch.setattr(module, "form_of", fail)

    assert decoded(["before", object(), "after"]) == ["before", "<unreadable>", "after"]
