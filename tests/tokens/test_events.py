"""The events about tokens have schemas, as any other event has."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from heliograph import Event, SchemaError
from heliograph.schema.registry import SchemaRegistry
from heliograph.semconv import OWN_EVENTS
from heliograph.tokens.events import TOKEN_EVENTS, TokenCreated, TokenEvent, credential_of
from heliograph.values.privacy import PrivacyPolicy


def test_names_on_the_wire() -> None:
    """Events about tokens are in heliograph's own namespace, whatever namespace the program has."""
    registry = SchemaRegistry(namespace="app")
    registry.register_own(TOKEN_EVENTS)

    assert list(registry) == [], "they are no events of the program"
    assert registry.register(TokenCreated) is registry[TokenCreated]
    assert {schema.event_name for schema in registry.own} == OWN_EVENTS
    assert [schema.event_name for schema in registry.own] == [
        "heliograph.token_created",
        "heliograph.token_first_used",
        "heliograph.token_rejected",
        "heliograph.token_revoked",
        "heliograph.token_rotated",
    ]


def test_hosts_share_the_schemas_of_own_events() -> None:
    """Each host has them with its own policy. To compile them again would take longer than all else of its start."""
    first, second = (SchemaRegistry(namespace=name, policy=PrivacyPolicy(key=name)) for name in ("one", "two"))
    for registry in (first, second):
        registry.register_own(TOKEN_EVENTS)

    for one, two in zip(first.own, second.own):
        assert one.fields is two.fields
        assert (one.policy, two.policy) == (first.policy, second.policy)


@dataclass
class Forged(TokenEvent):
    """A class of a program that inherits the namespace."""

    name = "token-created"


@dataclass
class Reserved(Event, namespace="heliograph"):
    """A class of a program that declares it."""

    name = "anything"


@pytest.mark.parametrize("event_class", [Forged, Reserved])
def test_namespace_is_reserved(event_class: type) -> None:
    """No class of a program has heliograph's namespace."""
    with pytest.raises(SchemaError, match="reserved for heliograph"):
        SchemaRegistry(namespace="app").register(event_class)


def test_credential_is_the_token_itself_without_another_one() -> None:
    """A key that is no text is no id."""
    assert TokenCreated(token_id="t1", handler="h", actor={"token_id": "t2"}).credential_id == "t2"
    assert TokenCreated(token_id="t1", handler="h", actor={"token_id": 2}).credential_id == "t1"
    assert credential_of("alice") is None
