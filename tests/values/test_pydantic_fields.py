"""Pydantic's fields are read without pydantic's code."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Generic, TypeVar

import pydantic
import pytest

from heliograph import Attribute, Privacy
from heliograph.values import pydantic_fields
from heliograph.values.declared_attributes import declared_privacy, with_pydantic_privacy
from heliograph.values.fields import field_hints, field_names

MASK = Attribute(privacy=Privacy.MASK)
T = TypeVar("T")


class Order(pydantic.BaseModel):
    id: int = pydantic.Field(gt=0, alias="Id")
    note: Annotated[str, MASK] = ""
    inner: str = pydantic.Field("", exclude=True)
    quiet: str = pydantic.Field("", repr=False)
    loud: Annotated[str, Attribute(privacy=Privacy.PLAIN)] = pydantic.Field("", repr=False)
    password: pydantic.SecretStr | None = None
    _private: int = 0

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def total(self) -> int:
        raise RuntimeError


class SmallOrder(Order):
    model_config = pydantic.ConfigDict(extra="allow")
    quiet: str = ""


class Box(pydantic.BaseModel, Generic[T]):
    content: T


@pydantic.dataclasses.dataclass
class Data:
    size: int = pydantic.Field(gt=0)
    inner: str = pydantic.Field("", exclude=True)
    quiet: Annotated[str, pydantic.Field(max_length=3)] = dataclasses.field(default="x", repr=False)


@dataclasses.dataclass
class Derived(Data):
    more: int = 0


class Node(pydantic.BaseModel):
    children: list[Node] = []
    later: Later | None = None


class Later(pydantic.BaseModel):
    token: Annotated[str, MASK]


def test_names_of_the_stored_fields() -> None:
    """Aliases, computed fields, private attributes, extras, and what pydantic excludes are not among them."""
    names = ("id", "note", "quiet", "loud", "password")

    assert field_names(Order) == field_names(SmallOrder) == names
    assert field_names(Data) == ("size", "quiet")
    assert field_names(Derived) == ("size", "quiet", "more")
    assert field_names(pydantic.BaseModel) == ()


def test_privacy_of_fields() -> None:
    """``repr=False`` masks a field that declares no privacy; a secret is masked always."""
    plain = Attribute(privacy=Privacy.PLAIN)

    assert declared_privacy(Order) == {"note": MASK, "quiet": MASK, "loud": plain, "password": MASK}
    assert "quiet" not in declared_privacy(SmallOrder)
    assert declared_privacy(Data) == declared_privacy(Derived) == {"quiet": MASK}


def test_generic_models() -> None:
    """Pydantic makes a class of each alias, and resolves the parameters there."""
    assert declared_privacy(Box[Annotated[str, MASK]]) == {"content": MASK}
    assert declared_privacy(Box[int]) == declared_privacy(Box) == {}


def test_constraints_are_in_the_annotation() -> None:
    """The constraints of a field's default value are found, too."""
    [hint] = field_hints(Order, ["id"]).values()

    assert getattr(hint, "__metadata__", None)


def test_name_that_is_defined_later() -> None:
    """Pydantic knows such a name only after `model_rebuild`."""
    assert field_hints(Node, ["children", "later"]) == {"children": list[Node], "later": Later | None}


class Broken(pydantic.BaseModel):
    token: Missing = None  # type: ignore[name-defined]  # noqa: F821


def test_annotation_that_cannot_be_resolved_is_masked() -> None:
    """A declaration behind an unknown name may ask for privacy."""
    assert declared_privacy(Broken) == {"token": MASK}


@pytest.mark.parametrize(
    ("hint", "declared", "privacy"),
    [
        (pydantic.SecretStr, Attribute(), Privacy.MASK),
        (pydantic.SecretBytes | None, Attribute(privacy=Privacy.PLAIN), Privacy.MASK),
        (pydantic.Secret[int], Attribute(privacy=Privacy.HASH), Privacy.MASK),
        (Annotated[pydantic.SecretStr, "note"], Attribute(privacy=Privacy.DROP), Privacy.DROP),
        (pydantic.SecretStr | int, Attribute(), None),
        (Annotated[str, pydantic.Field(repr=False)], Attribute(), Privacy.MASK),
        (str, Attribute(), None),
    ],
    ids=str,
)
def test_privacy_of_secrets(hint: Any, declared: Attribute, privacy: Privacy | None) -> None:
    """A secret is masked or dropped, whatever its field declares."""
    assert with_pydantic_privacy(declared, hint, None).privacy is privacy


def test_is_secret() -> None:
    """Subclasses too; a class of the program with the same name is none."""

    class ApiKey(pydantic.SecretStr):
        pass

    class SecretStr(str):  # noqa: SLOT000 — as somebody writes it
        pass

    assert pydantic_fields.is_secret(ApiKey)
    assert not pydantic_fields.is_secret(SecretStr)
    assert not pydantic_fields.is_secret("SecretStr")


def test_condition_to_exclude_a_field_is_not_called() -> None:
    """A condition is a function of the program, so its field counts as excluded."""

    class Info:
        exclude = None
        exclude_if = staticmethod(lambda value: 1 / 0)

    assert pydantic_fields.is_excluded(Info())
    assert not pydantic_fields.is_excluded(None)
    assert not pydantic_fields.is_hidden(None)
