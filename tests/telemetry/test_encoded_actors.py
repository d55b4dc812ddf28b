"""An actor that is encoded at once has the bytes of its attributes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import Privacy
from heliograph.delivery.encoding.attributes import put_attributes
from heliograph.delivery.encoding.declared import DeclaredAttributes
from heliograph.telemetry.actor_attributes import ActorFilter
from heliograph.telemetry.encoded_actors import EncodedActors
from heliograph.values.attribute_names import MAX_REMEMBERED
from heliograph.values.attributes import Attributes
from heliograph.values.privacy import PrivacyPolicy

FILTERS = {
    "all": ActorFilter(("*",)),
    "id": ActorFilter(("id",)),
    "nothing": ActorFilter(()),
    "private": ActorFilter(("id:hash", "name:mask", "email:drop", "team", "plan:mask", "-x")),
    "masked": ActorFilter(("*:mask", "id")),
    "denied": ActorFilter(("*", "team"), PrivacyPolicy(default=Privacy.DROP)),
}
KEYS = st.sampled_from(
    [
        "id",
        "name",
        "full_name",
        "roles",
        "email",
        "team",
        "plan",
        "x",
        "",
        "a.b",
        "token",
        "token_id",
        "_r",
        "ž",
        "\udc80",
    ]
) | st.text(max_size=3)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.lists(st.text(max_size=3), max_size=3)
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
    | st.sampled_from(["\udc80", "dstok", b"x"])
)


def encoded(actor_filter: ActorFilter, actor: Any) -> list[bytes] | None:
    key_values: list[bytes] = [b"before"]
    is_encoded = EncodedActors(actor_filter, DeclaredAttributes()).put(key_values, actor)
    assert is_encoded or key_values == [b"before"]
    return key_values[1:] if is_encoded else None


def from_attributes(actor_filter: ActorFilter, actor: Any) -> list[bytes]:
    attributes: Attributes = {}
    actor_filter.put(attributes, actor)
    key_values: list[bytes] = []
    put_attributes(key_values, attributes)
    return key_values


@pytest.mark.parametrize("actor_filter", FILTERS.values(), ids=FILTERS)
@given(actor=st.dictionaries(KEYS, VALUES, max_size=6))
def test_bytes_are_those_of_the_attributes(actor_filter: ActorFilter, actor: dict[str, Any]) -> None:
    """The bytes are equal under every setting. An actor that is not encoded is exported as attributes."""
    assert encoded(actor_filter, actor) in (None, from_attributes(actor_filter, actor))


@pytest.mark.parametrize(
    "actor",
    [
        {},
        {"id": "root"},
        {"id": 7, "name": None, "roles": ["a", "b"], "email": "ada@example.com"},
        {"id": "root", "team": "ops", "seats": 3, "beta": True, "debt": -1, "zone": "ž", "_r": {"a": ["x"]}},
        {"id": "root", "token": "dstok", "token_expires": 1, "token_id": "t1"},
        {str(number): "x" for number in range(63)},
    ],
)
def test_common_actors_are_encoded(actor: dict[str, Any]) -> None:
    """The quick way makes no attributes, and gives the bytes that the attributes would have."""
    found = encoded(FILTERS["all"], actor)

    assert found is not None
    assert found == from_attributes(FILTERS["all"], actor)


@pytest.mark.parametrize(
    "actor",
    [
        "root",
        {1: "x"},
        {"x": None},
        {"x": 2**63},
        {"x": "\udc80"},
        {"id": "\udc80"},
        {"a.b": 1},
        {str(number): "x" for number in range(64)},
    ],
)
def test_other_actors_are_exported_as_attributes(actor: Any) -> None:
    assert encoded(FILTERS["all"], actor) is None


def test_remembered_keys_are_bounded() -> None:
    """Keys of an actor may come from outside."""
    actors = EncodedActors(FILTERS["all"], DeclaredAttributes())
    for number in range(3 * MAX_REMEMBERED):
        assert actors.put([], {f"key{number}": "x"})
        assert len(actors._key_encodings) <= MAX_REMEMBERED
