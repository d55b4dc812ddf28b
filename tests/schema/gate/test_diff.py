"""Each change of an event class is found, with its place and with whom it breaks."""

from __future__ import annotations

import types
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from heliograph import Attribute, Deprecated, Event, Privacy, Severity
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.gate.diff import (
    Bump,
    Change,
    Mode,
    diff,
    incompatible,
)
from heliograph.schema.gate.lock import (
    Lock,
    dumps,
    loads,
    lock_of,
)
from schema.typed_values import FITTING
from values.boxes import Box

T = TypeVar("T")


class Tags(list[Annotated[str, Attribute(privacy=Privacy.MASK)]]):
    pass


ALL = {Mode.BACKWARD, Mode.FORWARD, Mode.FULL}
BACKWARD = {Mode.BACKWARD, Mode.FULL}
FORWARD = {Mode.FORWARD, Mode.FULL}
OPTIONAL: Any = (str | None, None)


def lock(*classes: type) -> Lock:
    return loads(dumps(lock_of(compile_schema(cls, namespace="app") for cls in classes)))


def event(name: str = "order", options: dict[str, Any] | None = None, /, **fields: Any) -> type:
    """Return an event class with these options; each field is an annotation, or a pair of annotation and default."""
    pairs = {key: spec if isinstance(spec, tuple) else (spec,) for key, spec in fields.items()}
    body: dict[str, Any] = {"name": name, "__annotations__": {key: spec[0] for key, spec in pairs.items()}}
    body.update((key, spec[1]) for key, spec in pairs.items() if len(spec) > 1)
    return dataclass(types.new_class("Order", (Event,), options, lambda namespace: namespace.update(body)))


def changes(old: Iterable[type], new: Iterable[type]) -> list[Change]:
    return diff(lock(*old), lock(*new))


def summaries(found: Iterable[Change]) -> list[tuple[str, str, set[Mode]]]:
    return [(each.where, each.what, set(each.modes)) for each in found]


@given(st.lists(st.sampled_from([hint for hint, _ in FITTING]), max_size=4))
def test_without_a_change_there_is_no_finding(hints: list[Any]) -> None:
    """Fields of any types are equal to themselves."""
    cls = event(**{f"x{index}": hint for index, hint in enumerate(hints)})

    assert changes([cls], [cls]) == []


@dataclass
class Open:
    token: str
    count: int = 0


@dataclass
class Secret:
    token: Annotated[str, Attribute(privacy=Privacy.HASH)]
    count: int = 0


HASHED = Annotated[str, Attribute(privacy=Privacy.HASH)]
MASKED = Annotated[str, Attribute(privacy=Privacy.MASK)]
OPT_IN = Annotated[str | None, Attribute(requirement="opt_in")]
CENTS = Annotated[int, Attribute(unit="{cent}")]
EUROS = Annotated[int, Attribute(unit="EUR")]
RENAMED = Annotated[str, Attribute("app.order.who", deprecated=Deprecated(renamed_to="app.order.user"))]


@pytest.mark.parametrize(
    ("old", "new", "where", "what", "modes"),
    [
        pytest.param(
            {},
            {"a": int},
            "a",
            "the new schema rejects some old events: the field is required, and is always missing",
            BACKWARD,
            id="new required",
        ),
        pytest.param({}, {"a": int}, "app.order.a", "the attribute is new", set(), id="new attribute"),
        pytest.param(
            {"a": OPTIONAL},
            {"a": (str | None)},
            "a",
            "the new schema rejects some old events: the field is required, and may be missing",
            BACKWARD,
            id="required",
        ),
        pytest.param(
            {"a": str},
            {"a": (str, "")},
            "app.order.a",
            "the attribute was in every event and may now be missing",
            FORWARD,
            id="optional",
        ),
        pytest.param(
            {"a": str},
            {"a": (str, "")},
            "a",
            "the old schema rejects some new events: the field is required, and may be missing",
            FORWARD,
            id="optional values",
        ),
        pytest.param({"a": str}, {}, "app.order.a", "the attribute was removed", ALL, id="gone"),
        pytest.param(
            {"a": int | str},
            {"a": int},
            "a",
            "the new schema rejects some old events: string is not accepted, only integer",
            BACKWARD,
            id="narrowed",
        ),
        pytest.param(
            {"a": int},
            {"a": float},
            "app.order.a",
            "the attribute's type changed from int to double",
            ALL,
            id="attribute type",
        ),
        pytest.param(
            {"a": Literal["x", "y"]},
            {"a": Literal["x"]},
            "a",
            "the new schema rejects some old events: 'y' is not accepted",
            BACKWARD,
            id="enum",
        ),
        pytest.param(
            {"a": Literal["x"]},
            {"a": Literal["x", "y"]},
            "a",
            "the old schema rejects some new events: 'y' is not accepted",
            FORWARD,
            id="enum wider",
        ),
        pytest.param(
            {"a": int},
            {"a": Annotated[int, Meta(ge=0)]},
            "a",
            "the new schema rejects some old events: numbers below 0 are not accepted",
            BACKWARD,
            id="constraint",
        ),
        pytest.param(
            {"a": str},
            {"a": Annotated[str, Attribute("app.order.b")]},
            "app.order.a",
            "the attribute was renamed to app.order.b; "
            "first write a lock file with Attribute(…, deprecated=Deprecated(renamed_to=…))",
            ALL,
            id="renamed",
        ),
        pytest.param(
            {"a": RENAMED},
            {"a": Annotated[str, Attribute("app.order.user")]},
            "app.order.who",
            "renamed to app.order.user, as announced",
            set(),
            id="renamed as announced",
        ),
        pytest.param(
            {"a": CENTS}, {"a": EUROS}, "app.order.a", "the attribute's unit changed from {cent} to EUR", ALL, id="unit"
        ),
        pytest.param({"a": HASHED}, {"a": str}, "a", "privacy is weakened, from hash to plain", ALL, id="weaker"),
        pytest.param(
            {"a": MASKED}, {"a": HASHED}, "a", "privacy is weakened, from mask to hash", ALL, id="weaker hash"
        ),
        pytest.param(
            {"a": OPT_IN}, {"a": (str | None)}, "a", "privacy is weakened, from drop to plain", ALL, id="opt in"
        ),
        pytest.param(
            {"a": str}, {"a": MASKED}, "a", "privacy is strengthened, from plain to mask", FORWARD, id="stronger"
        ),
        pytest.param(
            {"a": list[Secret]},
            {"a": list[Open]},
            "a.token",
            "privacy is weakened, from hash to plain",
            ALL,
            id="weaker in a list",
        ),
        pytest.param(
            {"a": Annotated[Open, Attribute(privacy=Privacy.DROP)]},
            {"a": Secret},
            "a.count",
            "privacy is weakened, from drop to plain",
            ALL,
            id="weaker inside",
        ),
        pytest.param(
            {"a": Secret}, {"a": dict}, "a", "privacy is weakened, from hash to plain", ALL, id="weaker as a whole"
        ),
        pytest.param(
            {"a": Box[MASKED]},
            {"a": Box[str]},
            "a.content",
            "privacy is weakened, from mask to plain",
            ALL,
            id="weaker argument",
        ),
        pytest.param(
            {"a": Tags}, {"a": list[str]}, "a", "privacy is weakened, from mask to plain", ALL, id="weaker container"
        ),
        pytest.param(
            {"a": Box[int]},
            {"a": Box[Annotated[int, Meta(ge=0)]]},
            "a.content",
            "the new schema rejects some old events: numbers below 0 are not accepted",
            BACKWARD,
            id="constraint of an argument",
        ),
        pytest.param(
            {"a": Box[int]},
            {"a": Box[str]},
            "app.order.a.content",
            "the attribute's type changed from int to string",
            ALL,
            id="type of an argument",
        ),
        pytest.param(
            {"a": Open | int},
            {"a": int},
            "app.order.a",
            "the attribute's type changed from string to int",
            ALL,
            id="union with a class",
        ),
    ],
)
def test_each_change_of_a_field_is_found(
    old: dict[str, Any], new: dict[str, Any], where: str, what: str, modes: set[Mode]
) -> None:
    """The change has the place of the change, and the modes in which it is incompatible."""
    assert (where, what, modes) in summaries(changes([event(**old)], [event(**new)]))


@dataclass
class Created(Event, Generic[T]):
    name = "created"
    obj: T


def test_argument_of_a_generic_base_is_part_of_the_contract() -> None:
    """A change of it is a change of the field that it is the type of."""

    @dataclass
    class Old(Created[Annotated[str, Attribute("app.user.name", privacy=Privacy.HASH)]]):
        pass

    @dataclass
    class New(Created[Annotated[str, Attribute("app.user.login")]]):
        pass

    found = summaries(changes([Old], [New]))

    assert ("obj", "privacy is weakened, from hash to plain", ALL) in found
    assert [where for where, what, _ in found if "renamed to app.user.login" in what] == ["app.user.name"]
    assert changes([Old], [Old]) == []


def test_dict_that_becomes_a_class_keeps_its_attributes() -> None:
    """The keys of the dict are the same attributes as before. Values of other keys are rejected, which is another change."""
    found = summaries(changes([event(a=dict)], [event(a=Open)]))

    assert [what for where, what, _ in found if where == "app.order.a"] == []
    assert (
        "a",
        "the new schema rejects some old events: "
        "a dict with any keys is not accepted, only one with the fields of a class",
        BACKWARD,
    ) in found


def test_a_removed_event_breaks_queries() -> None:
    """A removal breaks no query if the new name was announced, and is registered."""
    gone = changes([event()], [])
    assert [(each.what, set(each.modes), each.bump) for each in gone] == [
        (
            'the event was removed; to rename it, first write a lock file with deprecated=Deprecated(renamed_to="…")',
            ALL,
            Bump.MAJOR,
        )
    ]

    announced = changes([event("order", {"deprecated": Deprecated(renamed_to="app.purchase")})], [event("purchase")])
    assert summaries(announced) == [
        ("", "renamed to app.purchase, as announced", set()),
        ("", "the event is new", set()),
    ]


def test_new_version_may_change_everything_but_privacy() -> None:
    """A new version is the way to make an incompatible change on purpose."""
    old, new = event("order", {"version": "1"}, a=HASHED, b=int), event("order", {"version": "2"}, a=str)

    assert summaries(changes([old], [new])) == [
        ("", "replaced by app.order@2", set()),
        ("a", "privacy is weakened, from hash to plain", ALL),
        ("", "the event is new", set()),
    ]


def test_a_compatible_change_is_reported() -> None:
    """The severity may change; the lock file then needs to be written again."""
    found = changes([event()], [event("order", {"severity": Severity.ERROR})])

    assert summaries(found) == [("", "severity changed from 9 to 17", set())]
    assert str(found[0]) == "app.order: severity changed from 9 to 17 — compatible; needs a patch version"


def test_mode_chooses_what_is_incompatible() -> None:
    """A required field breaks old events; a field that may be missing breaks old readers."""
    stricter = changes([event(a=OPTIONAL)], [event(a=(str | None))])
    looser = changes([event(a=str)], [event(a=(str, ""))])

    assert incompatible(stricter, Mode.BACKWARD)
    assert not incompatible(stricter, Mode.FORWARD)
    assert not incompatible(looser, Mode.BACKWARD)
    assert incompatible(looser, Mode.FORWARD)
    assert incompatible(stricter, Mode.FULL)
    assert incompatible(looser, Mode.FULL)


def test_a_finding_is_one_line_for_a_terminal() -> None:
    """The line has the event, the place, the change, whom it breaks, and the version that it needs."""
    (change,) = incompatible(changes([event(a=HASHED)], [event(a=str)]), Mode.BACKWARD)

    assert str(change) == (
        "app.order a: privacy is weakened, from hash to plain — breaks the privacy that the people in "
        "the data were promised; needs a major version"
    )


@pytest.mark.parametrize("key", ["severity", "stability", "renamed_to"])
def test_each_remark_is_a_compatible_change(key: str) -> None:
    """Severity, stability and the announced name may change at any time."""
    options: dict[str, dict[str, Any]] = {
        "severity": {"severity": Severity.WARN},
        "stability": {"stability": "stable"},
        "renamed_to": {"deprecated": Deprecated(renamed_to="app.sale")},
    }

    found = changes([event()], [event("order", options[key])])

    assert [each.what.partition(" ")[0] for each in found] == [key]
    assert [(each.breaks, set(each.modes), each.bump) for each in found] == [("", set(), Bump.PATCH)]


def test_an_announced_name_of_an_attribute_is_reported() -> None:
    """The announcement is a remark; the rename itself is then no new attribute."""
    plain = Annotated[str, Attribute("app.order.who")]
    renamed = Annotated[str, Attribute("app.order.user")]

    assert summaries(changes([event(a=plain)], [event(a=RENAMED)])) == [
        ("app.order.who", "renamed_to changed from None to app.order.user", set())
    ]
    assert summaries(changes([event(a=RENAMED)], [event(a=renamed)])) == [
        ("app.order.who", "renamed to app.order.user, as announced", set())
    ]


def test_every_successor_of_a_version_is_compared() -> None:
    """Several versions may replace one; privacy must not be weaker in any of them."""
    old = event("order", {"version": "1"}, a=MASKED)
    new = [event("order", {"version": "2"}, a=HASHED), event("order", {"version": "3"}, a=MASKED)]

    found = changes([old], new)

    assert found[0].what == "replaced by app.order@2 and app.order@3"
    assert [(each.event, each.what) for each in found if each.modes] == [
        ("app.order@2", "privacy is weakened, from mask to hash")
    ]


def test_privacy_is_compared_with_the_strongest_that_a_property_had() -> None:
    """A class with fields of several privacies that becomes a dict is as private as the strictest of them."""

    @dataclass
    class Mixed:
        first: Annotated[str, Attribute(privacy=Privacy.DROP)]
        second: Annotated[str, Attribute(privacy=Privacy.HASH)]

    as_a_whole = Annotated[dict[str, Any], Attribute(privacy=Privacy.MASK)]

    assert ("a", "privacy is weakened, from drop to mask", ALL) in summaries(
        changes([event(a=Mixed)], [event(a=as_a_whole)])
    )


def test_paths_that_only_begin_alike_are_different_properties() -> None:
    """The privacy of ``card`` says nothing about ``cardinality``."""
    found = changes([event(card=MASKED)], [event(card=MASKED, cardinality=OPTIONAL)])

    assert [each.what for each in found if "privacy" in each.what] == []


def test_a_removed_attribute_is_not_confused_with_another_one() -> None:
    """An attribute was renamed only if another one has the value of the same property."""
    found = changes([event(a=OPTIONAL, b=OPTIONAL)], [event(b=OPTIONAL)])

    assert ("app.order.a", "the attribute was removed", ALL) in summaries(found)


def test_a_name_of_the_actor_in_an_older_lock_is_one_rename() -> None:
    """Older versions exported such a field under the declared name."""
    old = dumps(lock_of([compile_schema(event(who=Annotated[str, Attribute("acl.who")]), namespace="app")]))
    new = lock(event(who=Annotated[str, Attribute("user.id")]))

    assert summaries(diff(loads(old.replace("acl.who", "user.id")), new)) == [
        ("user.id", "renamed to app.order.who, because user.id always means the actor", ALL)
    ]
