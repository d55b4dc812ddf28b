"""Arguments of declarations that have a wrong type: each is named, with the fix, when the class is registered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypedDict, TypeVar

import pytest

from heliograph import Attribute, Deprecated, Event, Host, SchemaError, Settings

T = TypeVar("T")
TEXT = "write it as text"
LIST = "write a list: examples=[…]"


def problem_of(annotation: object, **options: Any) -> str:
    """Return the error for an event class with one field."""
    body = {"name": "event", "__annotations__": {"field": annotation}, "__module__": __name__}
    event_class = dataclass(type("AnEvent", (Event,), body, **options))
    with pytest.raises(SchemaError) as caught:
        Host(Settings(), events=[event_class])
    return str(caught.value)


ATTRIBUTES: list[tuple[dict[str, Any], str]] = [
    *(({name: value}, TEXT) for name in ("name", "brief", "note", "requirement", "unit") for value in (1, b"x", ["x"])),
    *(({"examples": value}, LIST) for value in ("x", b"x", 1, None, {"x": 1}, {1})),
    *(({"privacy": value}, "use one of Privacy") for value in ("msk", b"mask", 1, ["mask"])),
    *(({"deprecated": value}, "write Deprecated(") for value in ("old", True, Deprecated, {"note": "old"})),
    *(({"deprecated": Deprecated(renamed_to=value)}, TEXT) for value in (1, ["x.y"])),
    ({"deprecated": Deprecated(note=1)}, TEXT),  # type: ignore[arg-type]
    ({"deprecated": Deprecated(renamed_to="x.y", emit_both="no")}, "write True or False"),  # type: ignore[arg-type]
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "fix"), ATTRIBUTES)
def test_wrong_argument_of_an_attribute_is_named(arguments: dict[str, Any], fix: str) -> None:
    [name] = arguments
    problem = problem_of(Annotated[str, Attribute(**arguments)])
    assert "'field'" in problem
    assert name in problem
    assert fix in problem


@dataclass
class Inner:
    deep: Annotated[str, Attribute(brief=1)]  # type: ignore[arg-type]


@dataclass
class Box(Generic[T]):
    deep: T


class Row(TypedDict):
    deep: Annotated[str, Attribute(brief=1)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "annotation",
    [Inner, list[Inner], dict[str, Inner], Inner | None, Row, Box[Annotated[str, Attribute(brief=1)]]],  # type: ignore[arg-type]
)
def test_wrong_argument_inside_of_a_value_is_named(annotation: object) -> None:
    """The error has the name of the field that the argument is about."""
    assert "the brief of 'deep' is 1; write it as text" in problem_of(annotation)


def test_all_wrong_arguments_are_one_error() -> None:
    attribute = Attribute(brief=1, unit=2, examples="x", privacy="msk")  # type: ignore[arg-type]
    problem = problem_of(Annotated[str, attribute], severity="WARN", version=2)
    for each in ("severity", "version", "brief", "unit", "examples", "privacy"):
        assert each in problem


@pytest.mark.parametrize(
    ("options", "fix"),
    [
        ({"namespace": 1}, "an event name is lower-case words"),
        ({"namespace": ""}, "an event name is lower-case words"),
        ({"version": 2}, 'write it as text, such as version="2"'),
        ({"severity": True}, "use one of Severity"),
        ({"severity": 9.0}, "use one of Severity"),
        ({"message": 1}, TEXT),
        ({"stability": ["stable"]}, "use one of development"),
        ({"deprecated": True}, "write Deprecated("),
        ({"deprecated": Deprecated(renamed_to=1)}, TEXT),  # type: ignore[arg-type]
        ({"deprecated": Deprecated(note=1)}, TEXT),  # type: ignore[arg-type]
        ({"deprecated": Deprecated(renamed_to="x.y", emit_both=1)}, "write True or False"),  # type: ignore[arg-type]
    ],
)
def test_wrong_option_of_a_class_is_named(options: dict[str, Any], fix: str) -> None:
    [name] = options
    problem = problem_of(str, **options)
    assert name in problem
    assert fix in problem


async def upcast_later(properties: dict[str, Any]) -> dict[str, Any]:
    return properties


@pytest.mark.parametrize(
    ("version", "upcaster", "text"),
    [
        (1, dict, 'it has an upcaster from version 1; write it as text, such as from_version="1"'),
        ("1", 3, "its upcaster from version '1' is 3; write a sync function of the properties"),
        ("1", upcast_later, "write a sync function of the properties"),
    ],
)
def test_upcaster_that_cannot_be_called_is_an_error_at_the_start(version: Any, upcaster: Any, text: str) -> None:
    """Else it would be one when somebody replays an event, perhaps months later."""

    @dataclass
    class Order(Event, version="2"):
        name = "order"

    Order.upcast(from_version=version)(upcaster)

    with pytest.raises(SchemaError) as caught:
        Host(Settings(), events=[Order])
    assert text in str(caught.value)
