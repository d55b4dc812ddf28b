"""Measure what an event costs, for every documented shape of a field: its attributes, an odd value, a violation; and its actor.

For each shape of `docs/values.md` there is an event class of four such fields. All candidates of a row run in turn, in one
process, and each figure is the median of many short rounds of CPU time:

- `attributes`: the attributes of the event, checked as `HELIOGRAPH_VALIDATION=warn` does, compared with `dataclasses.asdict` of it;
- `odd`, `violation`: an event of many shapes in which one field has a legal value that is not of exactly the declared class, or an
  invalid value, compared with the same event with its common value; for some, also a common container with one odd value inside;
- `actor`: tracking an event whose actor has ten keys, with an outbox, compared with one key.

- `all`: an event of many shapes with its common values, compared with `asdict`.

It prints a row for each shape, and exits with 1 if a figure is over its goal. For the shapes that do not reach it, a limit of their own is
checked, which the row says. For most of these, the floor is measured in the same rounds: the calls of C without which there can be no
attribute, such as the hash of a text, or a copy of each container and its JSON text, with nothing tested and nothing added.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

import msgspec
from parts.accepting import accepting
from parts.outboxes import outbox_provider
from parts.shapes import LINE, LISTED, NOTHING, SHAPES, Count, Line, Shape, Text, documented_rows

from heliograph import Attribute, Event, Host, Settings, Signal
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.read.event import EventReader
from heliograph.values.privacy import PrivacyPolicy
from heliograph.values.text import json_of

FIELDS = 4
ROUNDS = 15
GOAL_ATTRIBUTES, GOAL_ODD, GOAL_VIOLATION, GOAL_ACTOR = 0.15, 1.5, 5.0, 1.3
NOT_REACHED = {
    "all": (0.15, 0.18), "str, hash": (0.3, 0.4), "int, hash": (0.3, 0.4), "UUID, hash": (0.15, 0.18),
    "dict, hash": (0.3, 0.5), "class, hash": (0.27, 0.4), "Fraction": (0.2, 0.25), "complex": (0.25, 0.4),
    "bytes, at most 8": (0.15, 0.2), "IPv4Address": (0.15, 0.18), "list[str | None]": (0.17, 0.33),
    "list[list[int]]": (0.15, 0.3), "list[class]": (0.15, 0.18), "list[class], private": (0.15, 0.18),
    "list[dict]": (0.15, 0.36), "list[class] | None": (0.15, 0.18), "tuple[class, ...]": (0.15, 0.18),
    "Any, a list": (0.15, 0.18), "range": (0.23, 0.32), "array": (0.18, 0.22), "UserList": (0.25, 0.22),
    "dict": (0.15, 0.18), "dict[str, Any]": (0.15, 0.2), "dict[str, list]": (0.15, 0.3),
    "dict[str, class]": (0.15, 0.25), "dict[int, str]": (0.15, 0.18), "dict, nested": (0.17, 0.45),
    "dict, nested, typed": (0.15, 0.25), "Any, a dict": (0.15, 0.3), "ChainMap": (0.5, 0.48),
    "TypedDict, not required": (0.15, 0.18), "SimpleNamespace": (0.15, 0.18), "urllib.parse": (0.5, 0.75), "AnyUrl": (0.65, 0.55),
    "int64 in an int": (0.5, 0.6), "float64 in a float": (0.5, 0.6), "numpy.array": (0.3, 0.35),
    "Timestamp in a datetime": (0.27, 0.25), "Timedelta": (0.55, 0.62), "unknown": (1.1, 1.2), "many": (0.15, 0.75),
}  # fmt: skip
"""The shapes that do not reach the goal, or only without margin, with the limits that they keep: up to Python 3.11, and from 3.12 on.

From 3.12 on, `asdict` copies texts, numbers, and lists and dicts of them in a third to a half of the time. `FLOORS` shows what is left to gain.
"""
_hash: Final = PrivacyPolicy(key="key").hash_bytes
FLOORS: Final[Mapping[str, Callable[[Any], object]]] = {
    "str, hash": lambda value: _hash(value.encode()),
    "int, hash": lambda value: _hash(b"%d" % value),
    "dict, hash": lambda value: _hash(json_of(value)),
    "class, hash": lambda value: _hash(json_of(value)),
    "Fraction": lambda value: f"{value.numerator}/{value.denominator}",
    "complex": repr,
    "bytes, at most 8": msgspec.to_builtins,
    "list[str | None]": lambda value: json_of(value.copy()).decode(),
    "list[list[int]]": lambda value: json_of([each.copy() for each in value]).decode(),
    "list[class]": lambda value: json_of(value.copy()).decode(),
    "list[dict]": lambda value: json_of([each.copy() for each in value]).decode(),
    "tuple[class, ...]": lambda value: json_of([*value]).decode(),
    "range": lambda value: [*value],
    "UserList": lambda value: [*value.data],
    "dict[str, list]": lambda value: [each.copy() for each in value.copy().values()],
    "dict[str, class]": dict.copy,
    "dict, nested": lambda value: [value.copy(), value["a"].copy(), value["a"]["b"].copy(), value["tags"].copy()],
    "dict, nested, typed": lambda value: [each.copy() for each in value.copy().values()],
    "Any, a dict": lambda value: [value.copy(), value["b"].copy()],
    "ChainMap": lambda value: [each.copy() for each in value.maps],
    "urllib.parse": lambda value: f"{value[0]}://{value[1].rpartition('@')[2]}{value[2]}?{value[3]}",
    "AnyUrl": str,
    "int64 in an int": int,
    "float64 in a float": float,
    "numpy.array": lambda value: value.tolist(),
    "Timestamp in a datetime": dt.datetime.isoformat,
    "Timedelta": lambda value: value.days,
    "many": lambda value: {*map(type, value[:10_000])},
}  # fmt: skip
"""The calls without which there can be no attribute of a shape that does not reach the goal."""
LIMIT_ODD_CONTAINER = 1.8
"""The limit for an odd container, which reaches the goal closely, so that a busy machine misses it."""
LIMIT_ODD_ITEM = 3.2
"""The limit for a common container with an odd item, which does not reach the goal: the form of the whole container is made first."""
CONTAINERS = ("list[str]", "list[class]", "dict[str, Any]", "dict[str, int]", "class", "class | None", "TypedDict")
ODD_ITEMS = {
    "list[str]": ["a", "b", Text("c")], "list[class]": [LINE, LINE, LISTED], "dict[str, int]": {"a": 1, "b": Count(2)},
    "class": Line(Text("a"), 1), "TypedDict": {**LISTED, "sku": Text("a")},
}  # fmt: skip
"""Containers of common classes in which one value is odd, by the name of their shape."""
RICH = (
    "str", "str | None", "str, at most 20", "str, hash", "int", "int, bounds", "float", "bool", "datetime", "UUID", "Decimal",
    "Enum of str", "literal", "list[str]", "list[class]", "dict[str, Any]", "dict[str, int]", "class", "class | None", "TypedDict",
)  # fmt: skip
"""The shapes of the fields of the event that has one odd or invalid value."""
ACTOR = {
    "id": "root", "name": "Ada", "email": "ada@example.com", "team": "ops", "plan": "pro", "seats": 3, "beta": True,
    "region": "eu", "tenant": "t1", "level": "x",
}  # fmt: skip


def numbered(hint: Any, number: int) -> Any:
    """Return an annotation whose attribute name, if it has one, differs from that of other fields."""
    metadata = getattr(hint, "__metadata__", (None,))[0]
    if not isinstance(metadata, Attribute) or metadata.name is None:
        return hint
    return Annotated[hint.__origin__, dataclasses.replace(metadata, name=f"{metadata.name}_{number}")]


def event_class(*hints: Any) -> Any:
    """Return an event class with fields of these types."""
    fields = [(f"field_{number}", numbered(hint, number)) for number, hint in enumerate(hints)]
    return dataclasses.make_dataclass("ShapeEvent", fields, bases=(Event,), namespace={"name": "shape"})


def reader_of(cls: Any) -> EventReader:
    """Return the reader of an event class."""
    return EventReader(compile_schema(cls, namespace="app", policy=PrivacyPolicy(key="key")))


def cpu_seconds(call: Callable[[], object]) -> float:
    """Return the CPU seconds of one call, on average over a round of about a tenth of a millisecond or more."""
    calls, start = 0, time.process_time()
    while calls < 3 or time.process_time() - start < 0.0002:  # noqa: PLR2004
        for _ in range(5):
            call()
        calls += 5
    return (time.process_time() - start) / calls


def ratios(base: Callable[[], object], *others: Callable[[], object]) -> list[float]:
    """Return the median of the time of each of the others, compared with that of the first."""
    rounds = []
    for _ in range(ROUNDS):
        unit = cpu_seconds(base)
        rounds.append([cpu_seconds(other) / unit for other in others])
    return [statistics.median(side) for side in zip(*rounds)]


def attributes_ratio(name: str, shape: Shape) -> tuple[float, float | None] | None:
    """Return the time of the attributes and that of their floor, if there is one, compared with `asdict`; `None` if that cannot copy it."""
    cls = event_class(*[shape.hint] * FIELDS)
    reader, event = reader_of(cls), cls(*[shape.good] * FIELDS, actor={"id": "root"})
    violations: list[object] = []
    reader.attributes(event, violations)
    assert not violations, violations
    try:
        dataclasses.asdict(event)
    except (TypeError, RecursionError):
        return None
    values, floor = [shape.good] * FIELDS, FLOORS.get(name)
    calls = [] if floor is None else [lambda: [floor(value) for value in values]]
    found = ratios(lambda: dataclasses.asdict(event), lambda: reader.attributes(event, []), *calls)
    return found[0], found[1] if calls else None


def rich_ratio() -> float:
    """Return the time of the attributes of the rich event, compared with `asdict`."""
    shapes = {each: shape for row in SHAPES.values() for each, shape in row.items()}
    cls = event_class(*(shapes[each].hint for each in RICH))
    reader, event = reader_of(cls), cls(*(shapes[each].good for each in RICH), actor={"id": "root"})
    return ratios(lambda: dataclasses.asdict(event), lambda: reader.attributes(event, []))[0]


def one_value(name: str) -> list[float | None]:
    """Return the time of the rich event if one field has an odd or an invalid value, or one with an odd item, compared with its common value."""
    shapes = {each: shape for row in SHAPES.values() for each, shape in row.items()}
    cls = event_class(*(shapes[each].hint for each in RICH))
    reader, index = reader_of(cls), RICH.index(name)
    common = [shapes[each].good for each in RICH]

    def read(value: object) -> Callable[[], object]:
        event = cls(*common[:index], value, *common[index + 1 :], actor={"id": "root"})
        return lambda: reader.attributes(event, [])

    values = [shapes[name].odd, shapes[name].invalid, ODD_ITEMS.get(name, NOTHING)]
    found = iter(ratios(read(shapes[name].good), *(read(value) for value in values if value is not NOTHING)))
    return [None if value is NOTHING else next(found) for value in values]


def actor_ratio() -> float:
    """Return the time to track an event whose actor has ten keys, compared with one key."""
    cls = event_class(str, int, bool)
    one, ten = (cls("a", 1, True, actor=actor) for actor in ({"id": "root"}, ACTOR))
    settings = Settings(actor=("*",), signals=(Signal.LOG,))
    with (
        accepting() as url,
        outbox_provider(url) as provider,
        Host(settings, events=[cls], logger_provider=provider) as host,
    ):
        return ratios(lambda: host.track(one), lambda: host.track(ten))[0]


def report(title: str, figure: float | None, goal: float, limit: float | None = None) -> bool:
    """Print one figure. Return True if it meets its goal, or, if that is not reached, keeps its limit."""
    if figure is None:
        print(f"  {title:<44} {'—':>6}")
        return True
    limit = goal if limit is None else limit
    note = "" if limit == goal else f", which is not always reached: limit {limit:g}"
    print(f"  {title:<44} {figure:6.3f}   (goal: at most {goal:g}{note}){'' if figure <= limit else '   MISSED'}")
    return figure <= limit


def limit_of(name: str) -> float:
    """Return the limit of a shape for this version of Python."""
    return NOT_REACHED.get(name, (GOAL_ATTRIBUTES, GOAL_ATTRIBUTES))[sys.version_info >= (3, 12)]


def main() -> int:
    """Print all figures. Return 1 if one is over its goal, or if a documented shape is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="measure only the shapes with this text in their names")
    only = parser.parse_args().only
    results = [list(SHAPES) == documented_rows()]
    print(f"attributes of {FIELDS} fields / dataclasses.asdict")
    for shapes in SHAPES.values():
        for name, shape in shapes.items():
            if only in name:
                figure, floor = attributes_ratio(name, shape) or (None, None)
                title = name if floor is None else f"{name} (floor: {floor:.3f})"
                results.append(report(title, figure, GOAL_ATTRIBUTES, limit_of(name)))
    if not only:
        title = f"all: an event of {len(RICH)} fields of many shapes"
        results.append(report(title, rich_ratio(), GOAL_ATTRIBUTES, limit_of("all")))
    print(f"an event of {len(RICH)} fields, one of them odd or invalid / the same event")
    for name in RICH:
        if only in name:
            odd, invalid, item = one_value(name)
            results += [
                report(f"odd {name}", odd, GOAL_ODD, LIMIT_ODD_CONTAINER if name in CONTAINERS else None),
                report(f"invalid {name}", invalid, GOAL_VIOLATION),
            ]
            if name in ODD_ITEMS:
                results.append(report(f"odd item in {name}", item, GOAL_ODD, LIMIT_ODD_ITEM))
    if not only:
        results.append(report("an actor of ten keys / of one", actor_ratio(), GOAL_ACTOR))
    return int(not all(results))


if __name__ == "__main__":
    sys.exit(main())
