"""A field of an event has the panels that its type and its privacy allow. `test_catalogue` has those of whole events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
from msgspec import Meta

from dashboards.everything import BACKENDS, OrderPlaced, schemas
from heliograph import Attribute, Event, Privacy
from heliograph.dashboards.field_panels import Meaning, field_panels, meaning_of
from heliograph.schema.model.wire_attributes import WireAttribute


def attributes(cls: type) -> dict[str, WireAttribute]:
    """Return the wire attributes of a class, by the path of the field."""
    [schema] = schemas(cls)
    return {each.path: each for each in schema.wire_attributes()}


ORDER = attributes(OrderPlaced)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("total", Meaning.AMOUNT),
        ("seconds", Meaning.AMOUNT),
        ("grade", Meaning.AMOUNT),
        ("product_id", Meaning.TEXT),
        ("id", Meaning.TEXT),
        ("color", Meaning.CHOICE),
        ("payment", Meaning.CHOICE),
        ("is_gift", Meaning.CHOICE),
        ("tags", Meaning.TEXTS),
        *((path, None) for path in ("at", "wait", "photo", "mixed")),
    ],
)
def test_meaning_of_values_follows_from_their_type(path: str, kind: Meaning | None) -> None:
    """A number that is an id is no amount: its sum means nothing. A time, bytes and mixed values have no panel."""
    assert meaning_of(ORDER[path], Privacy.PLAIN) is kind


@pytest.mark.parametrize(
    ("privacy", "kind"), [(Privacy.MASK, None), (Privacy.DROP, None), (Privacy.HASH, Meaning.TEXT)]
)
def test_privacy_decides_before_the_type(privacy: Privacy, kind: Meaning | None) -> None:
    """Hashes of equal values are equal, so they can be counted. Nothing can be shown of anything else that is private."""
    assert meaning_of(ORDER["total"], privacy) is kind
    titles = [panel.title for panel in field_panels(ORDER["total"], privacy, BACKENDS["own"].events, ())]
    assert titles == ([] if kind is None else ["Most frequent total"])


@dataclass
class Rated(Event, namespace="shop"):
    name = "rated"
    ten: Annotated[int, Meta(ge=1, le=10)]
    eleven: Annotated[int, Meta(ge=0, le=10)]
    between: Annotated[int, Meta(gt=0, lt=11)]
    at_least: Annotated[int, Meta(ge=0)]
    share: Annotated[float, Attribute(unit="%", brief="A share.")]
    part: Annotated[float, Attribute(unit="1")]
    length: Annotated[int, Attribute(unit="By")]
    posts: Annotated[int, Attribute(unit="{post}")]


RATED = attributes(Rated)


@pytest.mark.parametrize(
    ("path", "titles"),
    [
        ("ten", ["Share of each ten", "Sum of ten"]),
        ("between", ["Share of each between", "Sum of between"]),
        ("eleven", ["Distribution of eleven", "Sum of eleven"]),
        ("at_least", ["Distribution of at_least", "Sum of at_least"]),
        ("share", ["Distribution of share"]),
        ("part", ["Distribution of part"]),
        ("length", ["Distribution of length", "Sum of length"]),
        ("posts", ["Distribution of posts", "Sum of posts"]),
    ],
)
def test_amounts_have_a_distribution_and_a_sum(path: str, titles: list[str]) -> None:
    """Up to ten different numbers have shares instead. Ratios, whose unit is `%` or `1`, have no sum."""
    found = field_panels(RATED[path], Privacy.PLAIN, BACKENDS["own"].events, ())

    assert [panel.title for panel in found] == titles


def test_panels_have_the_unit_and_the_brief_of_the_field() -> None:
    """The description names the attribute, and says of a hash that it is one."""
    store = BACKENDS["own"].events
    distribution, total = field_panels(RATED["length"], Privacy.PLAIN, store, ())
    [share] = field_panels(RATED["share"], Privacy.PLAIN, store, ())
    [hashed] = field_panels(RATED["share"], Privacy.HASH, store, ())

    for panel in (distribution, total):
        assert panel.field_config is not None
        assert panel.field_config.defaults.unit == "bytes"
    assert str(share.description).startswith("A share. The attribute `shop.rated.share`.")
    assert str(hashed.description).endswith("Each value is a hash; equal values have equal hashes.")


@pytest.mark.parametrize("name", BACKENDS)
def test_items_of_lists_are_counted_where_the_store_can(name: str) -> None:
    """A store that cannot unroll lists counts whole ones."""
    store = BACKENDS[name].events
    [panel] = field_panels(ORDER["tags"], Privacy.PLAIN, store, ())
    [query] = panel.targets or ()

    assert ("unroll" in query.expr) is store.can_unroll  # type: ignore[attr-defined]
