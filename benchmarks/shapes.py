"""Measure what an event costs, for every documented shape of a field: its attributes, an odd value, a violation; and its actor.

For each shape of `docs/values.md` there is an event class of four such fields. All candidates of a row run in turn, in one
process, and each figure is the median of many short rounds of CPU time:

- `attributes`: the attributes of the event, checked as `HELIOGRAPH_VALIDATION=warn` does, compared with `dataclasses.asdict` of it;
- `odd`, `violation`: an event of many shapes in which one field has a legal value that is not of exactly the declared class, or an
  invalid value, compared with the same event with its common value;
- `actor`: tracking an event whose actor has ten keys, with an outbox, compared with one key.

It prints a row for each shape, and exits with 1 if a figure is over its goal.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
import time
from collections.abc import Callable
from typing import Annotated, Any

from parts.accepting import accepting
from parts.outboxes import outbox_provider
from parts.shapes import NOTHING, SHAPES, Shape, documented_rows

from heliograph import Attribute, Event, Host, Settings, Signal
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.read.event import EventReader
from heliograph.values.privacy import PrivacyPolicy

FIELDS = 4
ROUNDS = 15
GOAL_ATTRIBUTES, GOAL_ODD, GOAL_VIOLATION, GOAL_ACTOR = 0.15, 1.5, 5.0, 1.3
RARE = {
    "str, hash": 0.5, "int, hash": 0.5, "UUID, hash": 0.25, "dict, hash": 0.6, "class, hash": 0.4, "Fraction": 0.6, "complex": 0.3,
    "IPv4Address": 0.35, "IPv6Network": 0.5, "range": 0.75, "array": 0.75, "UserList": 0.35, "dict[str, list]": 0.25,
    "dict[str, class]": 0.3, "dict, nested": 0.3, "dict, nested, typed": 0.3, "list[dict]": 0.25, "Any, a list": 0.2, "Any, a dict": 0.2,
    "UserDict": 0.75, "ChainMap": 1.25, "Any, a class": 0.6, "SimpleNamespace": 0.5, "argparse.Namespace": 0.4,
    "urllib.parse": 0.9, "AnyUrl": 1.0, "SecretStr": 1.3, "int64": 0.6, "int64 in an int": 1.2, "float64 in a float": 1.2, "Series": 0.5,
    "numpy.array": 1.0, "Timestamp": 0.25, "Timestamp in a datetime": 0.5, "Timedelta": 1.0, "unknown": 1.2, "many": 0.6, "timezone": 0.25,
}  # fmt: skip
"""Higher goals for single shapes: the hash of a text costs more than a copy of it, and other values have no code of their own."""
GOAL_ODD_CONTAINER = 2.2
"""The form of an odd container is compared with its type item by item."""
CONTAINERS = ("list[str]", "list[class]", "dict[str, Any]", "dict[str, int]", "class", "class | None", "TypedDict")
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


def attributes_ratio(shape: Shape) -> float | None:
    """Return the time of the attributes, compared with `asdict`; `None` if `asdict` cannot copy the value."""
    cls = event_class(*[shape.hint] * FIELDS)
    reader, event = reader_of(cls), cls(*[shape.good] * FIELDS, actor={"id": "root"})
    violations: list[object] = []
    reader.attributes(event, violations)
    assert not violations, violations
    try:
        dataclasses.asdict(event)
    except (TypeError, RecursionError):
        return None
    return ratios(lambda: dataclasses.asdict(event), lambda: reader.attributes(event, []))[0]


def one_value(name: str) -> list[float | None]:
    """Return the time of the rich event if one field has an odd or an invalid value, compared with its common value."""
    shapes = {each: shape for row in SHAPES.values() for each, shape in row.items()}
    cls = event_class(*(shapes[each].hint for each in RICH))
    reader, index = reader_of(cls), RICH.index(name)
    common = [shapes[each].good for each in RICH]

    def read(value: object) -> Callable[[], object]:
        event = cls(*common[:index], value, *common[index + 1 :], actor={"id": "root"})
        return lambda: reader.attributes(event, [])

    values = [shapes[name].odd, shapes[name].invalid]
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


def report(title: str, figure: float | None, goal: float) -> bool:
    """Print one figure. Return True if it meets its goal."""
    if figure is None:
        print(f"  {title:<44} {'—':>6}")
        return True
    is_met = figure <= goal
    print(f"  {title:<44} {figure:6.3f}   (goal: at most {goal:g}){'' if is_met else '   MISSED'}")
    return is_met


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
                results.append(report(name, attributes_ratio(shape), RARE.get(name, GOAL_ATTRIBUTES)))
    print(f"an event of {len(RICH)} fields, one of them odd or invalid / the same event")
    for name in RICH:
        if only in name:
            odd, invalid = one_value(name)
            results += [
                report(f"odd {name}", odd, GOAL_ODD_CONTAINER if name in CONTAINERS else GOAL_ODD),
                report(f"invalid {name}", invalid, GOAL_VIOLATION),
            ]
    if not only:
        results.append(report("an actor of ten keys / of one", actor_ratio(), GOAL_ACTOR))
    return int(not all(results))


if __name__ == "__main__":
    sys.exit(main())
