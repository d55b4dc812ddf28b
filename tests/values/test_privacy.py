"""What is declared private leaves in no form but the declared one, whatever stands in its place."""

from __future__ import annotations

import hashlib
import hmac
import logging
from dataclasses import dataclass, field, make_dataclass
from typing import Annotated, Any, TypedDict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import Attribute, Event, Privacy, SchemaError, Settings, Validation, acting_as, hookimpl
from heliograph.schema.compile.event_class import compile_schema, compile_untyped
from heliograph.schema.read.event import EventReader
from heliograph.values.privacy import PrivacyPolicy
from recorder import Telemetry

KEY = "the key of hashes"
POLICY = PrivacyPolicy(key=KEY)
SECRET = "s3cr3t-c4n4ry"

Masked = Annotated[str, Attribute(privacy=Privacy.MASK)]


def hashed(text: str, key: str = KEY) -> str:
    return "hmac-sha256:" + hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Card:
    number: Masked
    owner: Annotated[str, Attribute(privacy=Privacy.HASH)]
    pin: Annotated[int, Attribute(privacy=Privacy.DROP)]
    kind: str = "debit"


@dataclass
class Person:
    name: str
    card: Card | None = None


class Login(TypedDict):
    user: str
    password: Annotated[str, Attribute(privacy=Privacy.DROP)]


@dataclass
class PaidEvent(Event, namespace="shop", message="{person[card][number]} {person[card][pin]} {note}"):
    name = "paid"
    person: Person
    note: Annotated[str, Attribute(privacy=Privacy.MASK)] = ""
    anything: Any = None
    cards: list[Card] = field(default_factory=list)
    by_name: dict[str, Card] = field(default_factory=dict)
    login: Login | None = None
    either: str | Card | None = None


SCHEMA = compile_schema(PaidEvent, namespace="app", policy=POLICY)


def attributes_of(**values: Any) -> dict[str, Any]:
    violations: list[object] = []
    attributes = EventReader(SCHEMA).attributes(PaidEvent(**{"person": Person("Ada"), **values}), violations)
    assert violations == []
    return {name.removeprefix("shop.paid."): value for name, value in attributes.items()}


def test_each_level_has_its_form() -> None:
    """Masked, hashed, not there, plain."""
    found = attributes_of(person=Person("Ada", Card("4711", "Ada", 1234)), note="private")

    assert found == {
        "person.name": "Ada",
        "person.card.number": "<masked>",
        "person.card.owner": hashed("Ada"),
        "person.card.kind": "debit",
        "note": "<masked>",
        "cards": "[]",
        "by_name": "{}",
    }


def test_inside_of_lists_dicts_unions_and_what_has_no_type() -> None:
    """A private class is private wherever an instance of it is found."""
    card = Card(SECRET, SECRET, 1234)
    protected = f'{{"number":"<masked>","owner":"{hashed(SECRET)}","kind":"debit"}}'
    found = attributes_of(cards=[card], anything=[card], by_name={"a": card}, either=card)

    assert found["cards"] == found["anything"] == f"[{protected}]"
    assert found["by_name.a.number"] == found["either.number"] == "<masked>"
    assert SECRET not in str(found)
    assert "1234" not in str(found)


def test_dict_in_place_of_a_private_class_is_protected_by_its_keys() -> None:
    """What the class says of a key holds for a dict that stands where an instance should."""
    found = attributes_of(
        person={"name": "Ada", "card": {"number": SECRET, "owner": SECRET, "pin": 1234, "kind": "x"}},
        login={"user": "ada", "password": SECRET},
    )

    assert found["person.card.number"] == "<masked>"
    assert found["login.user"] == "ada"
    assert SECRET not in str(found)
    assert "1234" not in str(found)


@pytest.mark.parametrize("value", [SECRET, [SECRET], [[SECRET]], 1234, {"x": [SECRET]}])
def test_value_of_another_shape_than_a_private_class_is_masked_as_a_whole(value: Any) -> None:
    """Where the private part of it lies, nobody knows."""
    violations: list[object] = []
    attributes = EventReader(SCHEMA).attributes(PaidEvent(person=Person("Ada", value), cards=value), violations)  # type: ignore[arg-type]

    found = str(attributes)
    assert violations
    if not isinstance(value, dict):
        assert SECRET not in found
        assert "1234" not in found


def test_dataclass_as_a_key_is_protected_too() -> None:
    """A key is a place like any other."""
    assert SECRET not in str(attributes_of(anything={Card(SECRET, SECRET, 1): 1}))


def test_body_is_filled_from_what_may_leave() -> None:
    """A template that names a private field shows its form, or a question mark."""
    attributes = EventReader(SCHEMA).attributes(
        PaidEvent(person=Person("Ada", Card(SECRET, SECRET, 1234)), note=SECRET)
    )

    assert SCHEMA.body_text(attributes) == "<masked> ? <masked>"


def test_same_value_same_hash_and_another_key_another_hash() -> None:
    """A hash can be joined on, and not be guessed without the key."""

    @dataclass
    class HashedEvent(Event):
        name = "hashed"
        user: Annotated[Any, Attribute(privacy=Privacy.HASH)]

    def of(user: object, key: str = KEY) -> object:
        schema = compile_schema(HashedEvent, namespace="app", policy=PrivacyPolicy(key=key))
        return EventReader(schema).attributes(HashedEvent(user=user))["app.hashed.user"]

    assert of("ada") == of("ada") == hashed("ada")
    assert of("ada", "other") == hashed("ada", "other")
    assert of({"b": 1, "a": 2}) == of({"a": 2, "b": 1}) != of({"a": 2})
    assert len({str(of(value)) for value in ("1", 1, [1], "ada")}) == 3  # a text and the number it shows are one


def test_hash_without_a_key_is_dropped_with_one_warning(warnings: pytest.LogCaptureFixture) -> None:
    """An unkeyed hash of something short can be guessed, so there is none."""
    schema = compile_schema(PaidEvent, namespace="app", policy=PrivacyPolicy())
    attributes = EventReader(schema).attributes(PaidEvent(person=Person("Ada", Card("1", SECRET, 1))))

    assert "shop.paid.person.card.owner" not in attributes
    assert "HELIOGRAPH_PRIVACY_KEY" in "".join(warnings.messages)
    assert len(warnings.messages) == 1


@pytest.mark.parametrize("privacy", [Privacy.DROP, Privacy.MASK, Privacy.HASH])
@pytest.mark.parametrize("hint", [int, Annotated[str, msgspec.Meta(max_length=2)], list[int], dict[str, int], Card])
def test_privacy_never_makes_an_event_invalid(privacy: Privacy, hint: Any) -> None:
    """What is checked is the value, not what leaves of it."""
    values = {int: 3, list[int]: [3], dict[str, int]: {"a": 1}, Card: Card("1", "2", 3)}
    cls = make_dataclass(
        "E", [("x", Annotated[hint, Attribute(privacy=privacy)])], bases=(Event,), namespace={"name": "e"}
    )
    schema = compile_schema(cls, namespace="app", policy=POLICY)
    good: list[Any] = []
    bad: list[Any] = []
    EventReader(schema).attributes(cls(values.get(hint, "ab")), good)
    EventReader(schema).attributes(cls(1.5), bad)

    assert good == []
    assert [str(violation) for violation in bad] == ["datatype-mismatch: x"]


# Deny by default


def test_deny_by_default_drops_what_declares_nothing(telemetry: Telemetry) -> None:
    """A field leaves that says so; an actor's key leaves that the setting names."""

    @dataclass
    class DeniedEvent(Event):
        name = "denied"
        shown: Annotated[str, Attribute(privacy=Privacy.PLAIN)]
        hidden: str = SECRET
        inner: dict = field(default_factory=lambda: {"x": SECRET})

    class Plugin:
        @hookimpl
        def register_events(self):
            return [DeniedEvent]

    settings = Settings(secret=("x",), privacy_default="drop", actor=("*", "id"))
    with telemetry.host(Plugin(), settings=settings) as host:
        host.track(DeniedEvent(shown="here", actor={"id": "root", "name": SECRET}))

    assert telemetry.events == [("app.denied", {"app.denied.shown": "here", "user.id": "root"})]
    assert SECRET not in telemetry.everything()


def test_deny_by_default_shows_of_datasettes_core_what_the_table_declares() -> None:
    """Databases and tables are declared; schemas and primary keys are opt-in."""
    from datasette.events import CreateTableEvent

    schema = compile_schema(CreateTableEvent, namespace="app", policy=PrivacyPolicy(default=Privacy.DROP))
    event = CreateTableEvent(actor=None, database="d", table="t", schema="create table t")

    assert EventReader(schema).attributes(event) == {"db.namespace": "d", "db.collection.name": "t"}


def test_untyped_events_are_protected_as_well() -> None:
    """A class that has no schema is read by its declarations all the same; what cannot be read of them is masked."""

    @dataclass
    class UntypedEvent(Event):
        name = "Not A Name"
        card: Annotated[Card, Attribute()]
        note: Annotated[str, Attribute(privacy=Privacy.MASK)]
        odd: NotThere  # type: ignore[name-defined]  # noqa: F821

    event = UntypedEvent(card=Card(SECRET, SECRET, 1), note=SECRET, odd=SECRET)

    assert SECRET not in str(
        EventReader(compile_untyped(UntypedEvent, namespace="app", policy=POLICY)).attributes(event)
    )
    closed = compile_untyped(UntypedEvent, namespace="app", policy=PrivacyPolicy(default=Privacy.DROP))
    assert SECRET not in str(EventReader(closed).attributes(event))


# Opt-in


def test_opt_in_attributes_leave_when_they_are_named() -> None:
    """By the name on the wire, or all of them."""

    @dataclass
    class OptInEvent(Event):
        name = "opt-in"
        sql: Annotated[str, Attribute(requirement="opt_in")] = "select"

    def left(*names: str) -> dict[str, Any]:
        return EventReader(compile_schema(OptInEvent, namespace="app", policy=PrivacyPolicy(opt_in=names))).attributes(
            OptInEvent()
        )

    assert left() == left("sql") == {}
    assert left("app.opt_in.sql") == left("*") == {"app.opt_in.sql": "select"}


# Declarations that say two things


def test_attribute_anywhere_in_an_annotation_holds_for_the_whole_field() -> None:
    """`Masked | None`, `list[Masked]`: privacy is never lost to how an annotation is put together."""
    cls = make_dataclass("E", [("a", Masked | None), ("b", list[Masked])], bases=(Event,), namespace={"name": "e"})
    schema = compile_schema(cls, namespace="app", policy=POLICY)

    assert EventReader(schema).attributes(cls(SECRET, [SECRET])) == {"app.e.a": "<masked>", "app.e.b": "<masked>"}


def test_two_attributes_in_one_annotation_are_refused() -> None:
    """Which of them holds, nobody could say."""
    hint = Annotated[list[Masked], Attribute(privacy=Privacy.PLAIN)]
    with pytest.raises(SchemaError, match="more than one `Attribute`"):
        compile_schema(make_dataclass("E", [("a", hint)], bases=(Event,), namespace={"name": "e"}), namespace="app")


# By chance

PLACES = st.fixed_dictionaries(
    {},
    optional={
        "person": st.builds(
            Person, st.just("Ada"), st.builds(Card, st.just(SECRET), st.just(SECRET), st.just(999_888_777))
        ),
        "note": st.just(SECRET) | st.just([SECRET]) | st.just({SECRET: SECRET}),
        "anything": st.recursive(
            st.builds(Card, st.just(SECRET), st.just(SECRET), st.just(999_888_777)),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(st.text(max_size=3), inner, max_size=2)
                | st.builds(Person, st.just("Ada"), inner)
                | st.tuples(inner, inner)
            ),
            max_leaves=6,
        ),
        "cards": st.lists(st.builds(Card, st.just(SECRET), st.just(SECRET), st.just(999_888_777)), max_size=2)
        | st.just(SECRET)
        | st.just([{"number": SECRET, "owner": [SECRET], "pin": {"x": SECRET}}]),
        "by_name": st.dictionaries(st.text(max_size=3), st.just({"number": SECRET, "owner": SECRET}), max_size=2),
        "login": st.just({"user": "ada", "password": SECRET}),
        "either": st.builds(Card, st.just(SECRET), st.just(SECRET), st.just(999_888_777)),
    },
)


@given(PLACES, st.sampled_from([Validation.OFF, Validation.WARN]), st.booleans())
def test_secrets_in_protected_places_are_in_no_byte_that_leaves(
    places: dict[str, Any], validation: Validation, is_recorded: bool
) -> None:
    """Log records, span events, spans, bodies and metrics: none of them has the value, in whatever place it stood."""

    class Shop:
        @hookimpl
        def register_events(self):
            return [PaidEvent]

    telemetry = Telemetry()
    settings = Settings(
        secret=("x",),
        privacy_key=KEY,
        validation=validation,
        signals="log,span_event,span",
        actor=("*", "name:hash", "card:mask"),
    )
    actor = {"id": "ada", "name": SECRET, "card": {"number": SECRET}, "wallet": Card(SECRET, SECRET, 999_888_777)}
    with telemetry.host(Shop(), settings=settings) as host, acting_as(actor):
        event = PaidEvent(**{"person": Person("Ada"), **places})
        if is_recorded:
            with telemetry.tracer.start_as_current_span("work"):
                host.track(event)
        else:
            host.track(event)

    left = telemetry.everything()
    telemetry.shutdown()
    assert "shop.paid" in left
    assert SECRET not in left
    assert "999888777" not in left


def test_violations_never_say_a_value(caplog: pytest.LogCaptureFixture, telemetry: Telemetry) -> None:
    """What is wrong is told by kind and path; keys that the event chose are no part of a path."""

    class Shop:
        @hookimpl
        def register_events(self):
            return [PaidEvent]

    caplog.set_level(logging.DEBUG)
    with telemetry.host(Shop()) as host:
        host.track(PaidEvent(person=SECRET, cards={SECRET: SECRET}, by_name={SECRET: SECRET}))  # type: ignore[arg-type]

    assert telemetry.logs[0].log_record.attributes["heliograph.event.violations"] == (  # type: ignore[index]
        "datatype-mismatch: person",
        "datatype-mismatch: cards",
        "datatype-mismatch: by_name{}",
    )
    assert SECRET not in caplog.text
