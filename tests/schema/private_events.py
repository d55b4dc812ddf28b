"""An event with private values in every place: fields, nested classes, lists, dicts, a TypedDict and a union."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Annotated, Any, TypedDict

from heliograph import Attribute, Event, Privacy
from heliograph.values.privacy import PrivacyPolicy

KEY = "the key of hashes"
POLICY = PrivacyPolicy(key=KEY)
SECRET = "s3cr3t-c4n4ry"


def hashed(text: str, key: str = KEY) -> str:
    return "hmac-sha256:" + hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


Masked = Annotated[str, Attribute(privacy=Privacy.MASK)]


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
