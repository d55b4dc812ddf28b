"""Generic classes with one field, made in every way. Objects of some know the alias that made them: of `Box[int](1)`, the `int`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import attrs
import msgspec

T = TypeVar("T")


@dataclass
class Box(Generic[T]):
    content: T


@dataclass(frozen=True)
class Frozen(Generic[T]):
    content: T


@dataclass(slots=True)
class Slotted(Generic[T]):
    content: T


class Struct(msgspec.Struct, Generic[T]):
    content: T


@attrs.define
class Attrs(Generic[T]):
    content: T


@attrs.frozen(slots=False)
class FrozenAttrs(Generic[T]):
    content: T


@attrs.define(slots=False)
class DictAttrs(Generic[T]):
    content: T
