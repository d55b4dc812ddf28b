"""Values of the standard library, and of subclasses of its classes, have the documented forms. No code of a subclass runs."""

from __future__ import annotations

import argparse
import array
import collections
import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import pathlib
import re
import sqlite3
import threading
import types
import urllib.parse
import uuid
import zoneinfo
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.values.forms import form_of
from heliograph.values.standard_library import MAX_VALUES, duration_text, first_values
from threads import join


def hostile(base: type) -> Any:
    """Return a subclass of a class, with every method that Python lets it override raising an exception."""

    def fail(*_: object, **__: object) -> Any:
        raise AssertionError("code of a subclass ran")

    kept = {"__new__", "__init__", "__class__", "__getattribute__", "__setattr__", "__doc__", "__dict__", "__del__"}
    kept |= {
        "__init_subclass__",
        "__subclasshook__",
        "__slots__",
        "__weakref__",
        "__module__",
        "__hash__",
        "__eq__",
        "__setitem__",
        "update",
    }
    kept |= {
        "__class_getitem__",
        "__reduce_ex__",
        "__reduce__",
        "__abstractmethods__",
        "__setstate__",
        "__match_args__",
    }
    names = {name for each in base.__mro__ for name, member in vars(each).items() if isinstance(member, Callable)}  # type: ignore[arg-type]
    cls = type("Hostile", (base,), {})
    for name in names - kept:
        if not name.startswith("_") or name.startswith("__"):
            setattr(cls, name, fail)
    cls.__getattribute__ = cls.__getattr__ = fail  # type: ignore[attr-defined, assignment]
    return cls


SUBCLASSES: list[tuple[type, tuple[Any, ...], object]] = [
    (str, ("a",), "a"),
    (int, (7,), 7),
    (float, (1.5,), 1.5),
    (complex, (1, 2), "1+2j"),
    (bytes, (b"\x00\xff",), "AP8="),
    (bytearray, (b"a",), "YQ=="),
    (dt.datetime, (2026, 1, 2, 3, 4, 5, 6, dt.timezone.utc), "2026-01-02T03:04:05.000006Z"),
    (dt.date, (2026, 1, 2), "2026-01-02"),
    (dt.time, (3, 4, 5, 0, dt.timezone.utc), "03:04:05Z"),
    (dt.timedelta, (1, 2), "P1DT2S"),
    (decimal.Decimal, ("1.10",), "1.10"),
    (dict, ({"a": 1},), {"a": 1}),
    (collections.OrderedDict, ({"b": 1, "a": 2},), {"b": 1, "a": 2}),
    (list, ([1, 2],), [1, 2]),
    (tuple, ([1, 2],), [1, 2]),
    (set, ([2, 1],), [1, 2]),
    (frozenset, ([2, 1],), [1, 2]),
    (collections.deque, ([1, 2],), [1, 2]),
    (array.array, ("i", [1, 2]), [1, 2]),
]


@pytest.mark.parametrize(("base", "arguments", "form"), SUBCLASSES, ids=lambda value: getattr(value, "__name__", None))
def test_subclass_has_the_form_of_its_base(base: type, arguments: tuple[Any, ...], form: object) -> None:
    """Every method may be overridden by one that raises."""
    found = form_of(hostile(base)(*arguments))

    assert found == form
    assert type(found) is type(form)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        (pathlib.PureWindowsPath("c:/a/b"), "c:\\a\\b"),
        (pathlib.PurePosixPath(), "."),
        (ipaddress.ip_address("10.0.0.1"), "10.0.0.1"),
        (ipaddress.ip_address("fe80::1%eth0"), "fe80::1%eth0"),
        (ipaddress.ip_network("10.0.0.0/8"), "10.0.0.0/8"),
        (ipaddress.ip_network("fe80::/10"), "fe80::/10"),
        (ipaddress.ip_interface("10.0.0.1/8"), "10.0.0.1/8"),
        (ipaddress.ip_interface("fe80::1/64"), "fe80::1/64"),
        (fractions.Fraction(1, 3), "1/3"),
        (fractions.Fraction(4), "4"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_subclass_of_a_class_written_in_python_has_its_form(value: Any, form: str) -> None:
    """The exact class and a subclass whose text fails have the same form."""

    class Failing(type(value)):  # type: ignore[misc]
        def __str__(self) -> str:
            raise AssertionError

        __repr__ = __str__

    text = str(value)
    arguments = {"int": value.int} if isinstance(value, uuid.UUID) else {}
    assert form_of(value) == form
    assert form_of(Failing(**arguments) if arguments else Failing(text)) == form


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (pathlib.Path("a/b"), "a/b"),
        (re.compile("a+"), "a+"),
        (re.compile(b"a"), "YQ=="),
        (types.SimpleNamespace(a=1, b=[2]), {"a": 1, "b": [2]}),
        (argparse.Namespace(verbose=True), {"verbose": True}),
        (dt.timezone.utc, "UTC"),
        (zoneinfo.ZoneInfo("UTC"), "UTC"),
        (ValueError("secret"), "ValueError"),
        (decimal.InvalidOperation("secret"), "decimal.InvalidOperation"),
        (collections.UserDict({"a": 1}), {"a": 1}),
        (collections.UserList([1]), [1]),
        (collections.UserString("a"), "a"),
        (collections.ChainMap({"a": 1}, {"a": 2, 1: 3}), {"a": 1, "1": 3}),
        (collections.ChainMap(types.MappingProxyType({"a": 1}), collections.UserDict(b=2)), {"a": 1, "b": 2}),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        ({"a": 1}.keys(), ["a"]),
        ({"a": 1}.values(), [1]),
        ({"a": 1}.items(), [["a", 1]]),
        (collections.OrderedDict(a=1).values(), [1]),
        (range(3), [0, 1, 2]),
        (msgspec.UNSET, None),
        (urllib.parse.urlsplit("https://me:pw@h:1/p;q?a=b#f"), "https://h:1/p;q?a=b#f"),
        (urllib.parse.urlparse("https://me:pw@h/p;q?a=b"), "https://h/p;q?a=b"),
        (urllib.parse.urlsplit(b"https://me:pw@h/p"), "https://h/p"),
        (fractions.Fraction(2**2000, 3), f"{hex(2**2000)}/0x3"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_value_has_its_documented_form(value: object, form: object) -> None:
    """A value has its form alone, and as an attribute of an object."""
    assert form_of(value) == form
    assert form_of(types.SimpleNamespace(x=value)) == {"x": form}


def test_row_of_a_database_is_flattened_by_column() -> None:
    """A row has the names of its columns."""
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    row = connection.execute("select 1 as a, 'x' as b").fetchone()
    connection.close()

    assert form_of(row) == {"a": 1, "b": "x"}


class Bits(enum.IntFlag):
    READ = 1
    WRITE = 2


def test_members_of_flags_and_enums_are_read_as_they_are_stored() -> None:
    """A `value` that a class overrides is not called."""

    class Odd(enum.Enum):
        A = "a"

        @property
        def value(self) -> str:
            raise AssertionError

    assert form_of([Odd.A, Bits.READ | Bits.WRITE, Bits(0)]) == ["a", 3, 0]


def test_complement_of_a_flag_is_the_other_flags() -> None:
    """Python 3.10 keeps the complement as a negative number."""

    negative = int.__new__(Bits, -2)
    negative._value_ = -2

    assert form_of([~Bits.READ, ~Bits(0), negative]) == [2, 3, 2]


def test_order_of_an_ordered_dict_is_its_own() -> None:
    """The order after `move_to_end`, which the dict below it does not know."""
    ordered = collections.OrderedDict(a=1, b=2)
    ordered.move_to_end("a")

    assert list(form_of(ordered)) == ["b", "a"]  # type: ignore[call-overload]


def test_cycles_through_wrappers_end() -> None:
    """A `UserDict`, a `UserList` and a namespace that contain themselves."""
    table: collections.UserDict[str, object] = collections.UserDict()
    table["self"] = table
    items: collections.UserList[object] = collections.UserList()
    items.append(items)
    space = types.SimpleNamespace()
    space.self = [space]
    string = collections.UserString("")
    string.data = string  # type: ignore[assignment]
    chain: collections.ChainMap[str, object] = collections.ChainMap()
    chain["self"] = chain

    assert form_of(table) == form_of(chain) == {"self": "<cycle>"}
    assert form_of(items) == ["<cycle>"]
    assert form_of(space) == {"self": ["<cycle>"]}
    assert form_of(string) == "<cycle>"
    chain.maps.append(chain)
    assert form_of(chain) == f"<{collections.__name__}.ChainMap>"


@pytest.mark.parametrize("kind", [dict, collections.OrderedDict, set, collections.deque, collections.UserDict, list])
def test_container_that_another_thread_changes_is_read_from_a_copy(kind: type) -> None:
    """The container is never lost, at the top or inside of others."""
    container = kind({str(index): index for index in range(50)})
    is_done = threading.Event()

    def change() -> None:
        index = 0
        while not is_done.is_set():
            index += 1
            if isinstance(container, (dict, collections.UserDict)):
                container[str(index % 200)] = index
                container.pop(str((index + 100) % 200), None)
            elif isinstance(container, set):
                container.add(str(index % 200))
                container.discard(str((index + 100) % 200))
            else:
                container.append(str(index))
                container.pop()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(500):
            assert len(form_of({"inner": [container]})["inner"][0]) >= 40  # type: ignore[index]
    finally:
        is_done.set()
        join(thread)


def test_snapshot_is_repeated_and_bounded() -> None:
    """A container whose size changes is read again; a long one is not copied as a whole; one that always changes raises."""
    attempts: list[int] = []

    def changing(times: int) -> Any:
        attempts.append(1)
        if len(attempts) < times:
            raise RuntimeError("changed size during iteration")
        return iter([1])

    assert first_values(lambda: changing(3)) == [1]
    assert len(first_values(lambda: range(10**12))) == MAX_VALUES + 1
    with pytest.raises(RuntimeError):
        first_values(lambda: changing(10**6))


@given(st.timedeltas())
def test_duration_has_msgspecs_form(value: dt.timedelta) -> None:
    """Our text of a duration equals the one that msgspec writes, where both can write it."""
    text = msgspec.to_builtins(value)
    nanoseconds = (value // dt.timedelta(microseconds=1)) * 1000

    assert msgspec.convert(duration_text(nanoseconds), dt.timedelta) == msgspec.convert(text, dt.timedelta) == value
    assert duration_text(1_000_000_001) == "PT1.000000001S"
    assert duration_text(0) == "P0D"


def test_chain_map_of_other_mappings_is_not_read() -> None:
    """Only the code of the mapping itself could read it, and that is not run."""

    class Lazy(Mapping[str, int]):
        def __getitem__(self, key: str) -> int:
            raise AssertionError

        __iter__ = __len__ = __getitem__  # type: ignore[assignment]

    assert form_of(collections.ChainMap({"a": 1}, {"a": 2, "b": 3})) == {"a": 1, "b": 3}
    assert form_of(collections.ChainMap({"a": 1}, Lazy())) == f"<{collections.__name__}.ChainMap>"  # type: ignore[arg-type]


def test_chain_map_of_a_wrapper_without_end_is_not_read() -> None:
    """A `UserDict` can be inside of itself in the place where its dict should be."""
    table: collections.UserDict[str, int] = collections.UserDict()
    table.data = table  # type: ignore[assignment]

    assert form_of(collections.ChainMap(table)) == f"<{collections.__name__}.ChainMap>"
