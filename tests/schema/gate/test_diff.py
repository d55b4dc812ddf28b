"""What a change of a class means for those who rely on it."""

from __future__ import annotations

import types
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from heliograph import Attribute, Deprecated, Event, Privacy, Severity
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.gate.diff import (
    Bump,
    Finding,
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

ALL = {Mode.BACKWARD, Mode.FORWARD, Mode.FULL}
BACKWARD = {Mode.BACKWARD, Mode.FULL}
FORWARD = {Mode.FORWARD, Mode.FULL}
OPTIONAL: Any = (str | None, None)


def lock(*classes: type) -> Lock:
    return loads(dumps(lock_of(compile_schema(cls, namespace="app") for cls in classes)))


def event(name: str = "order", options: dict[str, Any] | None = None, /, **fields: Any) -> type:
    """An event class with these keywords; each field is an annotation, or one with its default."""
    pairs = {key: spec if isinstance(spec, tuple) else (spec,) for key, spec in fields.items()}
    body: dict[str, Any] = {"name": name, "__annotations__": {key: spec[0] for key, spec in pairs.items()}}
    body.update((key, spec[1]) for key, spec in pairs.items() if len(spec) > 1)
    return dataclass(types.new_class("Order", (Event,), options, lambda namespace: namespace.update(body)))


def findings(old: Iterable[type], new: Iterable[type]) -> list[Finding]:
    return diff(lock(*old), lock(*new))


def said(found: Iterable[Finding]) -> list[tuple[str, str, set[Mode]]]:
    return [(each.where, each.what, set(each.modes)) for each in found]


@given(st.lists(st.sampled_from([hint for hint, _ in FITTING]), max_size=4))
def test_nothing_changed_is_no_finding(hints: list[Any]) -> None:
    """Whatever the types are."""
    cls = event(**{f"x{index}": hint for index, hint in enumerate(hints)})

    assert findings([cls], [cls]) == []


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
        pytest.param({}, {"a": int}, "a", "it is required now, and it is new", BACKWARD, id="new required"),
        pytest.param({}, {"a": int}, "app.order.a", "the attribute is new", set(), id="new attribute"),
        pytest.param(
            {"a": OPTIONAL},
            {"a": (str | None)},
            "a",
            "it is required now, and it was optional",
            BACKWARD,
            id="required",
        ),
        pytest.param(
            {"a": str},
            {"a": (str, "")},
            "app.order.a",
            "it was in every event, and is not any more",
            FORWARD,
            id="optional",
        ),
        pytest.param(
            {"a": str},
            {"a": (str, "")},
            "a",
            "it accepts more: by the old schema, it is required now, and it was optional",
            FORWARD,
            id="optional values",
        ),
        pytest.param({"a": str}, {}, "app.order.a", "the attribute is gone", ALL, id="gone"),
        pytest.param(
            {"a": int | str}, {"a": int}, "a", "string is not accepted any more, now integer", BACKWARD, id="narrowed"
        ),
        pytest.param(
            {"a": int},
            {"a": float},
            "app.order.a",
            "the attribute's type is double, and was int",
            ALL,
            id="attribute type",
        ),
        pytest.param(
            {"a": Literal["x", "y"]}, {"a": Literal["x"]}, "a", "'y' is not accepted any more", BACKWARD, id="enum"
        ),
        pytest.param(
            {"a": Literal["x"]},
            {"a": Literal["x", "y"]},
            "a",
            "it accepts more: by the old schema, 'y' is not accepted any more",
            FORWARD,
            id="enum wider",
        ),
        pytest.param(
            {"a": int},
            {"a": Annotated[int, Meta(ge=0)]},
            "a",
            "numbers that were large enough are too small now",
            BACKWARD,
            id="constraint",
        ),
        pytest.param(
            {"a": str},
            {"a": Annotated[str, Attribute("app.order.b")]},
            "app.order.a",
            "the attribute is called app.order.b now; "
            "announce it first: Attribute(…, deprecated=Deprecated(renamed_to=…))",
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
            {"a": CENTS}, {"a": EUROS}, "app.order.a", "the attribute's unit is EUR, and was {cent}", ALL, id="unit"
        ),
        pytest.param({"a": HASHED}, {"a": str}, "a", "privacy is weakened, from hash to plain", ALL, id="weaker"),
        pytest.param(
            {"a": MASKED}, {"a": HASHED}, "a", "privacy is weakened, from mask to hash", ALL, id="weaker hash"
        ),
        pytest.param(
            {"a": OPT_IN}, {"a": (str | None)}, "a", "privacy is weakened, from drop to plain", ALL, id="opt in"
        ),
        pytest.param({"a": str}, {"a": MASKED}, "a", "privacy is stronger, from plain to mask", FORWARD, id="stronger"),
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
    ],
)
def test_each_change_of_a_field_is_found(
    old: dict[str, Any], new: dict[str, Any], where: str, what: str, modes: set[Mode]
) -> None:
    """With the place, and whom it breaks."""
    assert (where, what, modes) in said(findings([event(**old)], [event(**new)]))


def test_dict_that_becomes_a_class_keeps_its_attributes() -> None:
    """They have names of their own now; that values have to fit is another finding."""
    found = said(findings([event(a=dict)], [event(a=Open)]))

    assert [what for where, what, _ in found if where == "app.order.a"] == []
    assert ("a", "any keys were accepted, now those of a class", BACKWARD) in found


def test_event_that_is_gone_breaks_queries() -> None:
    """Unless its new name was announced, and is there."""
    gone = findings([event()], [])
    assert [(each.what, set(each.modes), each.bump) for each in gone] == [
        ('the event is gone; announce it first: deprecated=Deprecated(renamed_to="…")', ALL, Bump.MAJOR)
    ]

    announced = findings([event("order", {"deprecated": Deprecated(renamed_to="app.purchase")})], [event("purchase")])
    assert said(announced) == [
        ("", "renamed to app.purchase, as announced", set()),
        ("", "the event is new", set()),
    ]


def test_new_version_may_change_everything_but_privacy() -> None:
    """It is what a finding asks for."""
    old, new = event("order", {"version": "1"}, a=HASHED, b=int), event("order", {"version": "2"}, a=str)

    assert said(findings([old], [new])) == [
        ("", "gave way to app.order@2", set()),
        ("a", "privacy is weakened, from hash to plain", ALL),
        ("", "the event is new", set()),
    ]


def test_what_breaks_nobody_is_told_too() -> None:
    """As a compatible change."""
    found = findings([event()], [event("order", {"severity": Severity.ERROR})])

    assert said(found) == [("", "severity is 17, and was 9", set())]
    assert str(found[0]) == "app.order: severity is 17, and was 9 — compatible; asks for a patch version"


def test_mode_chooses_what_is_incompatible() -> None:
    """A required field breaks older events; one that may be left out breaks older readers."""
    stricter = findings([event(a=OPTIONAL)], [event(a=(str | None))])
    looser = findings([event(a=str)], [event(a=(str, ""))])

    assert incompatible(stricter, Mode.BACKWARD)
    assert not incompatible(stricter, Mode.FORWARD)
    assert not incompatible(looser, Mode.BACKWARD)
    assert incompatible(looser, Mode.FORWARD)
    assert incompatible(stricter, Mode.FULL)
    assert incompatible(looser, Mode.FULL)


def test_line_says_what_where_whom_and_which_version() -> None:
    """For a terminal."""
    (finding,) = incompatible(findings([event(a=HASHED)], [event(a=str)]), Mode.BACKWARD)

    assert str(finding) == (
        "app.order a: privacy is weakened, from hash to plain — breaks the trust of those whose data it is; "
        "asks for a major version"
    )
