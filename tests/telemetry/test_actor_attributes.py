"""Of an actor, the keys that the setting allows leave, and secrets never do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common._internal import _encode_attributes

from heliograph import Privacy
from heliograph.telemetry.actor_attributes import ActorFilter
from heliograph.values.attributes import Attributes

ROOT = {"id": "root", "name": "Root", "email": "root@example.com", "roles": ["admin"], "team": "ops"}


def put(actor: object, *keys: str) -> Attributes:
    attributes: Attributes = {}
    ActorFilter(keys).put(attributes, actor)
    return attributes


def test_known_keys_have_the_names_of_the_conventions() -> None:
    """`user.*` for what the conventions name, `heliograph.actor.*` for the rest."""
    assert put({**ROOT, "full_name": "R. Oot"}, "*") == {
        "user.id": "root",
        "user.name": "Root",
        "user.full_name": "R. Oot",
        "user.email": "root@example.com",
        "user.roles": ["admin"],
        "heliograph.actor.team": "ops",
    }


@pytest.mark.parametrize(
    ("keys", "left"),
    [
        ((), set()),
        (("id",), {"user.id"}),
        (("id", "team"), {"user.id", "heliograph.actor.team"}),
        (("*", "-email", "-team"), {"user.id", "user.name", "user.roles"}),
        (("-email",), set()),
        (("email", "-email"), set()),
    ],
)
def test_setting_decides_which_keys_leave(keys: tuple[str, ...], left: set[str]) -> None:
    """`*` is all, a name adds, `-name` takes away."""
    assert set(put(ROOT, *keys)) == left


@pytest.mark.parametrize("keys", [("*",), ("token", "token_expires", "_r"), ("*", "token", "_r", "token_expires")])
def test_secrets_never_leave(keys: tuple[str, ...]) -> None:
    """Whatever the setting says."""
    actor = {"token": "dstok", "token_expires": 7, "_r": {"a": ["vi"]}}

    assert put(actor, *keys) == {}
    assert all(ActorFilter(keys).privacy_of(key) is Privacy.DROP for key in actor)


@pytest.mark.parametrize(
    ("value", "form"),
    [("a", "a"), (7, "7"), (2**70, str(2**70)), (True, "true"), ({"n": 1}, '{"n":1}'), ("\udc80", "\\udc80")],
)
def test_user_id_is_text(value: object, form: str) -> None:
    """Whatever the id is, `user.id` is a string."""
    assert put({"id": value}, "*") == {"user.id": form}


def test_none_is_left_out() -> None:
    """A key without a value is no attribute."""
    assert put({"id": None, "team": None}, "*") == {}


def test_other_keys_are_flattened_with_the_bounds_of_properties() -> None:
    """A dict below an actor's key becomes attributes, odd and colliding keys JSON text."""
    attributes = put({"org": {"id": 3}, "org.id": 4, "": 5, "a\nb": 6}, "*")

    assert attributes == {"heliograph.actor.org.id": 3, "heliograph.actor": '{"org.id":4,"":5,"a\\nb":6}'}


def test_actor_that_is_no_mapping_is_its_id() -> None:
    """Somebody is better than nobody."""
    assert put("root", "*") == {"user.id": "root"}
    assert put(7, "*") == {"user.id": "7"}
    assert put("root") == {}


def test_any_mapping_is_an_actor() -> None:
    """What counts is the shape."""
    assert put(MappingProxyType({"id": "root", "token": "t"}), "*") == {"user.id": "root"}


def test_mapping_that_breaks_is_named_by_its_class() -> None:
    """An actor's own code may raise, and the event goes out."""

    class Broken(Mapping[str, object]):
        def __getitem__(self, key: str) -> object:
            raise RuntimeError

        def __iter__(self) -> Iterator[str]:
            raise RuntimeError

        def __len__(self) -> int:
            return 1

    [value] = put(Broken(), "*").values()
    assert str(value).endswith("Broken>")


KEYS = (
    st.text(st.characters(categories=None), max_size=10)
    | st.sampled_from(["id", "name", "token", "_r"])
    | st.integers()
    | st.none()
)
ACTORS = st.dictionaries(
    KEYS,
    st.recursive(
        st.none() | st.integers() | st.text(st.characters(categories=None)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    ),
    max_size=80,
)


@given(ACTORS)
@example({"\ud800": []})
def test_any_actor_becomes_attributes_that_the_real_encoder_takes(actor: Any) -> None:
    """Keys that an attacker chose, odd and many, lose nothing and break nothing."""
    attributes = put({**actor, "token": "secret"}, "*")

    assert len(_encode_attributes(attributes) or []) == len(attributes)
    assert repr(attributes) == repr(put({key: value for key, value in actor.items() if key != "token"}, "*"))
    assert all(name.startswith(("user.", "heliograph.actor")) for name in attributes)
    assert len(attributes) < 400
