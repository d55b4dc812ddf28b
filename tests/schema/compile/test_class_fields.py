"""Classes of every kind have fields with resolved annotations."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

import attrs
import msgspec
import pydantic
import pytest
import typing_extensions

from heliograph import Attribute, Privacy
from heliograph.schema.compile.class_fields import fields_of_class

T = TypeVar("T")
Secret = Annotated[str, Attribute(privacy=Privacy.MASK)]


@dataclass
class Data(Generic[T]):
    x: T
    y: int = 0
    z: list[T] = field(default_factory=list)


class Struct(msgspec.Struct, Generic[T], kw_only=True):
    y: int = 0
    x: T
    z: list[T] = []


@attrs.define
class Attrs(Generic[T]):
    x: T
    y: int = 0
    z: list[T] = attrs.field(factory=list)


class Model(pydantic.BaseModel, Generic[T]):
    x: T
    y: int = 0
    z: list[T] = pydantic.Field(default_factory=list)


@pydantic.dataclasses.dataclass
class ModelData(Generic[T]):
    x: T
    y: int = 0
    z: list[T] = pydantic.Field(default_factory=list)


class Typed(typing_extensions.TypedDict, Generic[T]):
    x: T
    y: typing_extensions.NotRequired[int]
    z: typing_extensions.NotRequired[list[T]]


class Named(NamedTuple):
    x: Secret
    y: int = 0
    z: list[Secret] = []


@pytest.mark.parametrize(
    "hint",
    [Data[Secret], Struct[Secret], Attrs[Secret], Model[Secret], ModelData[Secret], Typed[Secret], Named],
    ids=str,
)
def test_fields_of_a_class(hint: Any) -> None:
    """Each has its annotation, and is required if it has no default."""
    fields = {each.name: each for each in fields_of_class(hint) or ()}

    assert {name: each.is_required for name, each in fields.items()} == {"x": True, "y": False, "z": False}
    assert fields["x"].hint == Secret
    assert fields["z"].hint in (list[Secret], typing_extensions.NotRequired[list[Secret]])


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="pydantic 1 does not support it")
def test_fields_of_a_model_of_pydantic_1() -> None:
    """Pydantic 2 contains the first version, as `pydantic.v1`."""
    from pydantic.v1 import BaseModel, Field  # it warns when Python 3.14 imports it

    class Old(BaseModel):
        x: str
        y: int = 0
        z: list[str] = Field(default_factory=list)

    fields = {each.name: each.is_required for each in fields_of_class(Old) or ()}

    assert fields == {"x": True, "y": False, "z": False}


def test_fields_that_are_not_wanted() -> None:
    """Annotations of fields that are left out are not evaluated."""

    @dataclass
    class Odd:
        x: int
        y: NotThere  # type: ignore[name-defined]  # noqa: F821

    assert [each.name for each in fields_of_class(Odd, without=frozenset({"y"})) or ()] == ["x"]


def test_class_without_fields() -> None:
    """A class such as `int` has no fields to read."""
    assert fields_of_class(int) is None
