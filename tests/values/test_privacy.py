"""A policy decides which part of a value is exported, and no other part leaves the process."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, make_dataclass
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import TypedDict

from heliograph import Attribute, Event, Host, Privacy, Settings, Validation, acting_as
from heliograph.values.privacy import DROPPED, PrivacyPolicy, Protected
from recorder import Telemetry
from registrar import Registrar
from schema.private_events import KEY, POLICY, SECRET, Card, PaidEvent, Person, hashed


@pytest.mark.parametrize(
    ("declared", "name", "enclosing", "expected"),
    [
        (Attribute(), "a", None, Privacy.MASK),
        (Attribute(), "a", Privacy.PLAIN, Privacy.PLAIN),
        (Attribute(privacy=Privacy.DROP), "a", Privacy.PLAIN, Privacy.DROP),
        (Attribute(privacy=Privacy.HASH), "a", None, Privacy.HASH),
        (Attribute(requirement="opt_in"), "a", None, Privacy.DROP),
        (Attribute(requirement="opt_in"), "chosen", None, Privacy.PLAIN),
        (Attribute(requirement="opt_in"), None, None, Privacy.DROP),
        (Attribute(requirement="opt_in", privacy=Privacy.MASK), "chosen", None, Privacy.MASK),
        (Attribute(requirement="opt_in", privacy=Privacy.PLAIN), "a", Privacy.PLAIN, Privacy.DROP),
    ],
)
def test_privacy_of_a_field(
    declared: Attribute, name: str | None, enclosing: Privacy | None, expected: Privacy
) -> None:
    """The declaration of a field comes first, then the enclosing value, then the default. An opt-in field must be named."""
    policy = PrivacyPolicy(key=KEY, default=Privacy.MASK, opt_in=("chosen",))

    assert policy.privacy_of(declared, name, enclosing=enclosing) is expected


def test_apply() -> None:
    """`None` stays `None`, and protected text is never protected again. Of what is dropped nothing stays."""
    masked = POLICY.apply(Privacy.MASK, "x")

    assert (masked, type(masked)) == ("<masked>", Protected)
    assert POLICY.apply(Privacy.PLAIN, "x") == "x"
    assert POLICY.apply(Privacy.HASH, "x") == hashed("x")
    for form in ("x", None, masked):
        assert POLICY.apply(Privacy.DROP, form) is DROPPED
    for privacy in (Privacy.PLAIN, Privacy.MASK, Privacy.HASH):
        assert POLICY.apply(privacy, None) is None
        assert POLICY.apply(privacy, masked) is masked


def test_privacy_that_is_none_exports_nothing(telemetry: Telemetry) -> None:
    """A schema refuses such a privacy. The class of a value in a field of any type has no schema, so the value is dropped."""

    @dataclass
    class Odd:
        pin: Annotated[str, Attribute(privacy="secret")] = SECRET  # type: ignore[arg-type]
        size: int = 1

    with telemetry.host(Registrar(PaidEvent), settings=Settings(secret=("x",))) as host:
        host.track(PaidEvent(person=Person("Ada"), anything=Odd()))

    [(_, attributes)] = telemetry.events
    assert attributes["shop.paid.anything.size"] == 1
    assert "pin" not in str(attributes)
    assert SECRET not in telemetry.everything()
    assert POLICY.apply("secret", SECRET) is DROPPED  # type: ignore[arg-type]
    declared = Attribute(privacy="hash")  # type: ignore[arg-type]
    assert PrivacyPolicy().privacy_of(declared, None) is Privacy.DROP, "there is no key"


def test_hash_of_surrogates_and_objects() -> None:
    """Every form has a hash. The order of a dict's keys does not matter, and text differs from the number it shows."""
    assert POLICY.hash_form("\udc80").startswith("hmac-sha256:")
    assert POLICY.hash_form({"a": 1, "b": 2}) == POLICY.hash_form({"b": 2, "a": 1})
    assert POLICY.hash_form([1]) == POLICY.hash_form("[1]") != POLICY.hash_form([2])
    assert len(POLICY.hash_form("x")) == len("hmac-sha256:") + 64
    assert POLICY.hash_text("x") == POLICY.hash_form("x")
    assert type(POLICY.hash_text("x")) is str


def test_key_of_any_bytes() -> None:
    """An environment variable may hold bytes that are not UTF-8; Python reads them as surrogates."""
    assert PrivacyPolicy(key="\udcff").hash_form("x") != PrivacyPolicy(key="\udcfe").hash_form("x")


def test_protect_fields() -> None:
    """Each field has its own privacy; dropped ones are absent."""
    declared = {"a": Attribute(privacy=Privacy.MASK), "b": Attribute(privacy=Privacy.DROP)}
    form = {"a": 1, "b": 2, "c": 3}

    assert POLICY.protect_fields(form, declared) == {"a": "<masked>", "c": 3}
    assert PrivacyPolicy(default=Privacy.DROP).protect_fields(form, declared) == {"a": "<masked>", "c": 3}
    assert PrivacyPolicy(default=Privacy.DROP).protect_fields(form, declared, enclosing=None) == {"a": "<masked>"}


def test_policy_without_a_key_warns_once(warnings: pytest.LogCaptureFixture) -> None:
    """A value that should be hashed is dropped, and the log is not flooded."""
    policy = PrivacyPolicy()

    for _ in range(3):
        assert policy.privacy_of(Attribute(privacy=Privacy.HASH), "a") is Privacy.DROP
    assert warnings.messages == ["HELIOGRAPH_PRIVACY_KEY is not set: values that should be hashed are dropped."]


def test_default_drop_exports_only_declared_fields(telemetry: Telemetry) -> None:
    """Only fields that declare plain and keys of the actor that the setting names are exported."""

    @dataclass
    class DeniedEvent(Event):
        name = "denied"
        shown: Annotated[str, Attribute(privacy=Privacy.PLAIN)]
        hidden: str = SECRET
        inner: dict = field(default_factory=lambda: {"x": SECRET})

    settings = Settings(secret=("x",), privacy_default="drop", actor=("*", "id"))
    with telemetry.host(Registrar(DeniedEvent), settings=settings) as host:
        host.track(DeniedEvent(shown="here", actor={"id": "root", "name": SECRET}))

    assert telemetry.events == [("app.denied", {"app.denied.shown": "here", "user.id": "root"})]
    assert SECRET not in telemetry.everything()


@dataclass
class Haunted:
    """A field that is dropped, and nothing in it."""

    ghost: Annotated[str | None, Attribute(privacy=Privacy.DROP)] = None
    ghosts: Annotated[Haunted | None, Attribute(privacy=Privacy.DROP)] = None
    kept: Annotated[str | None, Attribute(privacy=Privacy.MASK)] = None
    size: int = 1


class HauntedKeys(TypedDict):
    ghost: Annotated[str | None, Attribute(privacy=Privacy.DROP)]
    size: int


class HauntedStruct(msgspec.Struct):
    ghost: Annotated[str | None, Attribute(privacy=Privacy.DROP)] = None
    size: int = 1


@pytest.mark.parametrize("validation", [Validation.OFF, Validation.WARN])
@pytest.mark.parametrize(
    "make",
    [Haunted, lambda: HauntedKeys(ghost=None, size=1), HauntedStruct],
    ids=["dataclass", "keys", "struct"],
)
def test_name_of_a_dropped_field_without_a_value_is_not_exported(
    make: Callable[[], Any], validation: Validation, telemetry: Telemetry
) -> None:
    """The name alone would say that there is no value. A masked or hashed `None` stays `None`."""
    kind: Any = {dict: HauntedKeys}.get(type(make()), type(make()))
    fields: dict[str, tuple[Any, Any]] = {
        "one": (kind, make()),
        "many": (list[kind], [make()]),
        "perhaps": (list[kind | None], [make(), None]),
        "named": (dict[str, list[kind]], {"a": [make()]}),
        "either": (list[kind | int], [make(), 1]),
        # A dict has no declarations in `Any`.
        "anything": (kind if kind is HauntedKeys else Any, make()),
        "ghost": (Annotated[str | None, Attribute(privacy=Privacy.DROP)], None),
    }
    hints = [(name, hint) for name, (hint, _) in fields.items()]
    event_class: Any = make_dataclass("HauntedEvent", hints, bases=(Event,), namespace={"name": "haunted"})

    with telemetry.host(Registrar(event_class), settings=Settings(secret=("x",), validation=validation)) as host:
        host.track(event_class(**{name: value for name, (_, value) in fields.items()}))

    [(_, attributes)] = telemetry.events
    assert "ghost" not in str(attributes)
    assert str(attributes).count("size") == 6
    assert str(attributes).count("kept") == (4 if kind is Haunted else 0)


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


@pytest.fixture(scope="module")
def shops() -> Iterator[dict[Validation, tuple[Telemetry, Host]]]:
    """A host for each validation, with the telemetry that it exports."""

    with ExitStack() as stack:
        by_validation = {}
        for validation in (Validation.OFF, Validation.WARN):
            telemetry = Telemetry()
            stack.callback(telemetry.shutdown)
            settings = Settings(
                secret=("x",),
                privacy_key=KEY,
                validation=validation,
                signals="log,span_event,span",
                actor=("*", "name:hash", "card:mask"),
            )
            host = stack.enter_context(telemetry.host(Registrar(PaidEvent), settings=settings))
            by_validation[validation] = telemetry, host
        yield by_validation


@given(PLACES, st.sampled_from([Validation.OFF, Validation.WARN]), st.booleans())
def test_secrets_in_protected_places_are_not_exported(
    shops: dict[Validation, tuple[Telemetry, Host]], places: dict[str, Any], validation: Validation, is_recorded: bool
) -> None:
    """Log records, span events, spans, bodies and metrics do not contain the value, wherever it was in the event."""
    telemetry, host = shops[validation]
    telemetry.clear()
    actor = {"id": "ada", "name": SECRET, "card": {"number": SECRET}, "wallet": Card(SECRET, SECRET, 999_888_777)}
    with acting_as(actor):
        event = PaidEvent(**{"person": Person("Ada"), **places})
        if is_recorded:
            with telemetry.tracer.start_as_current_span("work"):
                host.track(event)
        else:
            host.track(event)

    exported = telemetry.everything()
    assert "shop.paid" in exported
    assert SECRET not in exported
    assert "999888777" not in exported


def test_violations_contain_no_value(caplog: pytest.LogCaptureFixture, telemetry: Telemetry) -> None:
    """A violation has a kind and a path, and the path has no key that the event chose."""

    caplog.set_level(logging.DEBUG)
    with telemetry.host(Registrar(PaidEvent)) as host:
        host.track(PaidEvent(person=SECRET, cards={SECRET: SECRET}, by_name={SECRET: SECRET}))  # type: ignore[arg-type]

    assert telemetry.logs[0].log_record.attributes["heliograph.event.violations"] == (  # type: ignore[index]
        "datatype-mismatch: person",
        "datatype-mismatch: cards",
        "datatype-mismatch: by_name{}",
    )
    assert SECRET not in caplog.text


def test_opted_out_attributes_are_dropped() -> None:
    """All attributes below them are dropped, too; a name that only begins alike is another attribute."""
    policy = PrivacyPolicy(opt_in=("*",), opt_out=("a.b", "a.c.d"))

    assert policy.privacy_of(Attribute(), "a.b") is Privacy.DROP
    assert policy.privacy_of(Attribute(requirement="opt_in", privacy=Privacy.PLAIN), "a.b.c") is Privacy.DROP
    assert policy.privacy_of(Attribute(), "a.bc") is Privacy.PLAIN
    assert policy.privacy_of(Attribute(), None) is Privacy.PLAIN
    assert policy.without_opted_out({"b": 1, "c": {"d": 2, "e": 3}}, "a") == {"c": {"e": 3}}
    assert policy.without_opted_out({"a.b": 1, "a.c": {"d": 2}, "b": 4}) == {"a.c": {}, "b": 4}


@given(st.binary(max_size=200), st.text(max_size=20))
def test_hash_is_hmac_sha256(key: bytes, text: str) -> None:
    """The hash is that of the standard library, for keys shorter and longer than a block."""
    policy = PrivacyPolicy(key=key.decode(errors="surrogateescape"))

    assert policy.hash_form(text) == f"hmac-sha256:{hmac.new(key, text.encode(), 'sha256').hexdigest()}"
