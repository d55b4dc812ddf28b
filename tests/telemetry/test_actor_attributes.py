"""An actor's keys are exported as the setting allows, and its secrets never are."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common._internal import _encode_attributes

from heliograph import Attribute, Privacy
from heliograph.semconv import ACTOR_SECRETS
from heliograph.telemetry.actor_attributes import ActorFilter
from heliograph.values.attribute_names import MAX_REMEMBERED
from heliograph.values.attributes import MAX_KEYS, Attributes, add_attributes
from heliograph.values.privacy import PrivacyPolicy
from heliograph.values.standard_library import MAX_VALUES

ROOT = {"id": "root", "name": "Root", "email": "root@example.com", "roles": ["admin"], "team": "ops"}


def put(actor: object, *keys: str, policy: PrivacyPolicy | None = None) -> Attributes:
    attributes: Attributes = {}
    ActorFilter(keys, policy).put(attributes, actor)
    return attributes


# Names


def test_known_keys_have_the_names_of_the_conventions() -> None:
    """A key that the semantic conventions name becomes `user.*`, any other `heliograph.actor.*`."""
    assert put({**ROOT, "full_name": "R. Oot"}, "*") == {
        "user.id": "root",
        "user.name": "Root",
        "user.full_name": "R. Oot",
        "user.email": "root@example.com",
        "user.roles": ["admin"],
        "heliograph.actor.team": "ops",
    }


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("a", "a"),
        ("é", "é"),
        (7, "7"),
        (2**70, str(2**70)),
        (True, "true"),
        ({"n": 1}, '{"n":1}'),
        ("\udc80", "\\udc80"),
    ],
)
def test_user_id_is_a_string(value: object, form: str) -> None:
    """An id of another type is exported as its JSON text."""
    assert put({"id": value}, "*") == {"user.id": form}


@pytest.mark.parametrize("key", ["name", "full_name", "email"])
def test_names_and_address_are_strings(key: str) -> None:
    """A dict does not become attributes below the name; an empty one is omitted."""
    assert put({key: {"first": "A"}}, "*") == {f"user.{key}": '{"first":"A"}'}
    assert put({key: 5}, "*") == {f"user.{key}": "5"}
    assert put({key: {}}, "*") == {}


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("admin", ["admin"]),
        (["a", 1, None, True], ["a", "1", "true"]),
        (("a", "b"), ["a", "b"]),
        ({"a"}, ["a"]),
        ([{"n": 1}], ['{"n":1}']),
        ({"admin": True}, ['{"admin":true}']),
        ([], []),
        (7, ["7"]),
    ],
)
def test_user_roles_are_an_array_of_strings(value: object, form: list[str]) -> None:
    """An actor may hold anything: a backend keeps one type per name."""
    assert put({"roles": value}, "*") == {"user.roles": form}


@pytest.mark.parametrize("value", [None, {}])
def test_roles_without_a_value_are_omitted(value: object) -> None:
    """No attribute is exported for a `None` or an empty dict."""
    assert put({"roles": value}, "*") == {}


def test_protected_roles_are_an_array_of_one_string() -> None:
    """The type does not depend on the setting."""
    policy = PrivacyPolicy(key="k")

    assert put(ROOT, "roles:mask", policy=policy) == {"user.roles": ["<masked>"]}
    assert put(ROOT, "roles:hash", policy=policy) == {"user.roles": [policy.hash_form(["admin"])]}


def test_value_of_a_subclass_of_str_is_exported_as_a_plain_string() -> None:
    """A subclass may override its methods: an encoder must not call them."""

    class Text(str):
        __slots__ = ()

    [value] = put({"id": Text("root")}, "*").values()

    assert (value, type(value)) == ("root", str)


def test_none_is_not_exported() -> None:
    """A key without a value has no attribute."""
    assert put({"id": None, "team": None}, "*") == {}


def test_other_keys_are_flattened_like_properties() -> None:
    """A nested dict becomes several attributes. Keys that are unusable or used twice are in the overflow."""
    attributes = put({"org": {"id": 3}, "org.id": 4, "": 5, "a\nb": 6}, "*")

    assert attributes == {
        "heliograph.actor.org.id": 3,
        "heliograph.event.overflow": '{"heliograph.actor":{"org.id":4,"":5,"a\\nb":6}}',
    }


# The setting


@pytest.mark.parametrize(
    ("keys", "exported"),
    [
        ((), set()),
        (("id",), {"user.id"}),
        (("id", "team"), {"user.id", "heliograph.actor.team"}),
        (("*", "-email", "-team"), {"user.id", "user.name", "user.roles"}),
        (("-email",), set()),
        (("email", "-email"), set()),
        (("-email", "email"), set()),
    ],
)
def test_setting_decides_which_keys_are_exported(keys: tuple[str, ...], exported: set[str]) -> None:
    """`*` is every key, a name adds a key, `-name` excludes it wherever it is in the setting."""
    assert set(put(ROOT, *keys)) == exported


def test_key_with_a_privacy_is_exported_protected() -> None:
    """A privacy counts for known and for other keys; `drop` excludes the key."""
    policy = PrivacyPolicy(key="k")

    attributes = put(ROOT, "id:hash", "name:mask", "team:mask", "email:drop", policy=policy)

    assert attributes == {
        "user.hash": policy.hash_form("root"),
        "user.name": "<masked>",
        "heliograph.actor.team": "<masked>",
    }


def test_every_key_can_be_protected() -> None:
    """The privacy of `*` holds for each key that the setting does not name."""
    assert put({"id": "root", "team": "ops", "name": "Root"}, "*:mask", "name") == {
        "user.id": "<masked>",
        "heliograph.actor.team": "<masked>",
        "user.name": "Root",
    }


def test_default_privacy_holds_for_keys_that_the_setting_does_not_name() -> None:
    """`*` alone states no privacy, while a name states that the value is exported."""
    assert put({"id": "root", "team": "ops"}, "*", "id", policy=PrivacyPolicy(default=Privacy.MASK)) == {
        "user.id": "root",
        "heliograph.actor.team": "<masked>",
    }


def test_private_fields_inside_an_actor_are_protected() -> None:
    """A value whose class declares a privacy has it in an actor as well."""

    class Org(msgspec.Struct):
        name: str
        plan: Annotated[str, Attribute(privacy=Privacy.MASK)]

    assert put({"org": Org("acme", "secret plan")}, "*") == {
        "heliograph.actor.org.name": "acme",
        "heliograph.actor.org.plan": "<masked>",
    }


# Secrets


@pytest.mark.parametrize("keys", [("*",), ("token", "token_expires", "_r"), ("*", "token", "_r", "token_expires")])
def test_secrets_are_never_exported(keys: tuple[str, ...]) -> None:
    """No setting can export the parts of an actor that are secret."""
    actor = {"token": "dstok", "token_expires": 7, "_r": {"a": ["vi"]}}

    assert set(actor) == ACTOR_SECRETS
    assert put(actor, *keys) == {}
    assert all(ActorFilter(keys).privacy_of(key) is Privacy.DROP for key in actor)


@pytest.mark.parametrize(
    "nested",
    [
        {"token": "dstok_secret", "n": 1},
        [{"token": "dstok_secret", "n": 1}],
        [[{"n": 1, "deep": ({"_r": "dstok_secret"},)}]],
        {"list": [{"token_expires": "dstok_secret", "n": 1}]},
        {b"token": "dstok_secret", "n": 1},
        {"deep": {b"_r": "dstok_secret", "n": 1}},
        {("token",): "dstok_secret", "n": 1},
        {"deep": {(("token",),): "dstok_secret", (b"token_expires",): "dstok_secret", "n": 1}},
    ],
    ids=repr,
)
def test_secrets_inside_an_actor_are_never_exported(nested: object) -> None:
    """A secret may be in dicts and in lists, at any depth; the values beside it are exported."""
    attributes = put({"id": 1, "sessions": nested, "roles": nested}, "*")

    assert "secret" not in str(attributes)
    assert '"n":1' in str(attributes) or "n': 1" in str(attributes)


# Actors of other shapes


@pytest.mark.parametrize(("token_id", "is_exported"), [("t1", True), ("t" * 10_000, False), (7, False)])
def test_id_of_the_token_is_a_short_text(token_id: object, is_exported: bool) -> None:
    """The id is exported whatever keys the setting allows, so anything else would be a way around the setting."""
    attributes = put({"id": "root", "token_id": token_id}, "id")

    assert attributes == {"user.id": "root", **({"heliograph.token.id": token_id} if is_exported else {})}


def test_actor_that_is_not_a_mapping_is_exported_as_an_id() -> None:
    """A name or a number identifies the user better than nothing."""
    assert put("root", "*") == {"user.id": "root"}
    assert put(7, "*") == {"user.id": "7"}
    assert put("root") == {}


def test_any_mapping_is_an_actor() -> None:
    """A mapping of any class is read as a dict is."""
    assert put(MappingProxyType({"id": "root", "token": "t"}), "*") == {"user.id": "root"}


def test_keys_that_are_not_strings_are_not_exported() -> None:
    """Nobody can say if such a key means a secret. The other keys are exported, those before and after it."""
    assert put({"id": "root", 7: "s3cret", b"token": "s3cret", "team": "ops"}, "*") == {
        "user.id": "root",
        "heliograph.actor.team": "ops",
    }


def test_key_whose_own_code_fails_is_not_exported() -> None:
    """The `__hash__` of a key is called when the dict is made, and never again."""

    class Key:
        calls = 0

        def __hash__(self) -> int:
            self.calls += 1
            if self.calls > 1:
                raise ZeroDivisionError
            return hash("id")

        def __eq__(self, other: object) -> bool:
            raise ZeroDivisionError

    assert put({Key(): "secret", "name": "Root"}, "*") == {"user.name": "Root"}


def test_actor_whose_class_cannot_be_asked_for_is_not_exported(warnings: pytest.LogCaptureFixture) -> None:
    """`isinstance` calls the property `__class__` of the actor, as of Django's lazy users."""

    class Actor:
        @property
        def __class__(self) -> type:
            raise ZeroDivisionError

    assert put(Actor(), "*") == {}
    assert "An actor cannot be read, so its events have none: builtins.ZeroDivisionError" in warnings.text


@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError])
def test_mapping_whose_own_code_fails_is_not_exported(
    error: type[BaseException], warnings: pytest.LogCaptureFixture
) -> None:
    """The event is emitted nevertheless, and a line names the class of the exception, whose text may be private."""

    class Failing(Mapping[str, object]):
        def __getitem__(self, key: str) -> object:
            raise error("s3cret")

        def __iter__(self) -> Iterator[str]:
            raise error("s3cret")

        def __len__(self) -> int:
            return 1

    assert put(Failing(), "*") == {}
    assert error.__name__ in warnings.text
    assert "s3cret" not in warnings.text


def test_endless_mapping_is_read_up_to_a_limit() -> None:
    """The first keys of such a mapping are exported."""

    class Endless(Mapping[str, object]):
        def __getitem__(self, key: str) -> object:
            return key

        def __iter__(self) -> Iterator[str]:
            return map(str, itertools.count())

        def __len__(self) -> int:
            return 1

    assert len(put(Endless(), "*")) <= MAX_VALUES


@pytest.mark.parametrize(("changes", "exported"), [(3, {"user.id": "root"}), (10_000, {})])
def test_mapping_that_another_thread_changes_is_read_again(
    changes: int, exported: dict[str, object], warnings: pytest.LogCaptureFixture
) -> None:
    """A mapping that changes during every attempt has no attributes, which is logged as a failure of its code."""

    class Changing(Mapping[str, object]):
        reads = 0

        def __getitem__(self, key: str) -> object:
            return "root"

        def __iter__(self) -> Iterator[str]:
            self.reads += 1
            if self.reads <= changes:
                raise RuntimeError("dictionary changed size during iteration")
            return iter(["id"])

        def __len__(self) -> int:
            return 1

    assert put(Changing(), "*") == exported
    assert ("An actor cannot be read" in warnings.text) is (exported == {})


def test_actor_that_changes_while_it_is_read_is_exported() -> None:
    """The keys are those that the actor had at the start. Here its own value changes it, in place of another thread."""
    actor: dict[str, object] = {}

    class Growing(dt.tzinfo):
        def utcoffset(self, _: object) -> dt.timedelta:
            actor["added"] = 1
            return dt.timedelta(hours=1)

    actor.update(id="root", since=dt.datetime(2026, 1, 2, tzinfo=Growing()), team="ops")

    assert put(actor, "*") == {
        "user.id": "root",
        "heliograph.actor.since": "2026-01-02T00:00:00+01:00",
        "heliograph.actor.team": "ops",
    }


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
def test_real_encoder_accepts_the_attributes_of_any_actor(actor: Any) -> None:
    """Keys that an attacker chose, odd ones and many of them, cause no loss and no exception."""
    attributes = put({**actor, "token": "secret"}, "*")

    assert len(_encode_attributes(attributes) or []) == len(attributes)
    assert repr(attributes) == repr(put({key: value for key, value in actor.items() if key != "token"}, "*"))
    assert all(name.startswith(("user.", "heliograph.actor.", "heliograph.event.overflow")) for name in attributes)
    assert len(attributes) < 400


def test_names_of_keys_are_remembered_within_bounds() -> None:
    """Whoever chooses the keys of actors cannot make the filter grow."""
    actors = ActorFilter(("*", "-secret"))
    for number in range(3 * MAX_REMEMBERED):
        attributes: Attributes = {}
        actors.put(attributes, {"id": "a", f"key-{number}": number, "secret": "x", "x" * 200: 1})
        assert attributes[f"heliograph.actor.key-{number}"] == number
        assert "secret" not in str(attributes)
        assert len(actors._verbatim_names_below_actor) <= MAX_REMEMBERED


@pytest.mark.parametrize("count", [3, MAX_KEYS - 1, MAX_KEYS, MAX_KEYS + 1])
def test_many_keys_have_the_bounds_of_every_dict(count: int) -> None:
    """The short way for common values ends where values go into the overflow."""
    actor = {f"key{number}": number for number in range(count)}
    expected: Attributes = {}
    add_attributes(expected, "heliograph.actor", actor)

    assert put(actor, "*") == expected
