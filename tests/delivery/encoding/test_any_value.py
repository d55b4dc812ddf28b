"""Any Python value as an `AnyValue` message."""

from __future__ import annotations

import collections
import datetime as dt
import enum
import itertools
from collections.abc import Sequence
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
    [collections.OrderedDict(a=[b"x"]), collections.deque([b"y"])],
]


@pytest.mark.parametrize("value", KNOWN, ids=repr)
def test_bytes_are_those_of_the_sdk(value: Any) -> None:
    """Scalars, containers and values of their subclasses are encoded byte by byte as the SDK's encoder does."""
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
    """A list whose methods do not end, or fail."""

    def __iter__(self) -> Any:
        return itertools.repeat(1)

    def __len__(self) -> int:
        raise RuntimeError


class Unordered(dict):  # type: ignore[type-arg]
    """A dict whose methods do not end."""

    def __iter__(self) -> Any:
        return itertools.repeat(1)

    items = keys = copy = __iter__  # type: ignore[assignment]


class Endless(Sequence):  # type: ignore[type-arg]
    """A sequence of a program's own."""

    def __getitem__(self, index: Any) -> Any:
        return 1

    def __len__(self) -> int:
        return 10**9


class Unnamed:
    def __str__(self) -> str:
        raise RuntimeError

    __hash__ = object.__hash__


def name(cls: type) -> str:
    return f"<{cls.__module__}.{cls.__qualname__}>"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Unreadable(), name(Unreadable)),
        (Unlisted([1]), [1]),
        (Unordered(a=1), {"a": 1}),
        (Endless(), name(Endless)),
        ({Unnamed(): 1}, {name(Unnamed): 1}),
        ({Text("a"): 1, Level.HIGH: 2}, {"a": 1, "3": 2}),
        ({"a": Unreadable()}, {"a": name(Unreadable)}),
    ],
    ids=["unreadable", "unlisted", "unordered", "endless", "unnamed", "keys", "nested"],
)
def test_no_code_of_a_value_runs(value: object, expected: object) -> None:
    """The code of a value's class could raise anything, or never end. The values beside it are what they were."""
    assert decoded(["before", value, "after"]) == ["before", expected, "after"]


def test_subclasses_are_limited_like_built_in_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The values up to the limit are encoded, then ``<too large>``."""
    monkeypatch.setattr(module, "MAX_VALUES", 2)

    assert decoded(Unlisted([1, 2, 3, 4])) == [1, 2, "<too large>"]
    assert decoded(collections.deque([1, 2, 3])) == [1, 2, "<too large>"]
    assert decoded(Unordered(a=1, b=2, c=3, d=4)) == {"a": 1, "b": 2, "<too large>": True}


def test_failure_inside_a_container_does_not_change_the_levels_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of many values that fail is as flat as any other."""

    def fail(_: object) -> object:
        raise RecursionError

    monkeypatch.setattr("heliograph.delivery.encoding.text.form_of", fail)
    monkeypatch.setattr(module, "form_of", fail)

    assert decoded([{Unnamed(): 1}] * 200 + [[["deep"]]]) == ["<unreadable>"] * 200 + [[["deep"]]]


@given(st.dictionaries(st.integers() | st.none() | st.booleans() | st.text(max_size=3), st.integers(0, 9), max_size=5))
def test_keys_inside_a_value_are_texts(value: dict[Any, int]) -> None:
    message = AnyValue.FromString(any_value(value, BODY_LEVELS))

    assert [pair.key for pair in message.kvlist_value.values] == [str(key) for key in value]


def test_dict_that_changes_meanwhile_is_encoded_as_it_was() -> None:
    """Code that runs during the encoding, in this thread or in another one, may change the dict."""
    changing: dict[str, Any] = {}

    class Zone(dt.tzinfo):
        """The code of a program's own that runs: a time zone is asked for its offset."""

        def utcoffset(self, _: dt.datetime | None) -> dt.timedelta:
            changing["new"] = 1
            return dt.timedelta(0)

    changing.update(first=dt.datetime(2026, 1, 2, tzinfo=Zone()), second=2)

    assert decoded(changing) == {"first": "2026-01-02T00:00:00Z", "second": 2}


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
