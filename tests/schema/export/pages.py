"""Event classes for the tests of catalogues, and a parser of pages."""

from __future__ import annotations

import types
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Annotated

from hypothesis import strategies as st
from msgspec import Meta

from heliograph import Attribute, Deprecated, Event, Privacy, Severity
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.model.event import EventSchema
from heliograph.values.privacy import PrivacyPolicy
from heliograph.values.text import escape_surrogates

ATTACK = (
    """<script>alert(1)</script> "quoted" 'text' | `code` ``more`` [link](javascript:alert(1)) {{ 7 * 7 }} </style>"""
)


TEXTS = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1).filter(str.strip)

UNPRINTABLE = "a\x1b[2J\x9b31m \u202egpj.exe\u2066 \u200bb\u2028c\ud800\x7f\x07"
"""A text that would clear a terminal, and that looks different from what it is."""


@dataclass
class Customer:
    name: Annotated[str, Attribute("shop.customer.name", privacy=Privacy.HASH)]
    country: Annotated[str, Meta(max_length=2), Attribute(examples=["GB"])] = "GB"


@dataclass
class OrderEvent(
    Event, namespace="shop", version="1", severity=Severity.WARN, message="{actor[id]} ordered for {total}: {note}"
):
    """An order was placed.

    By a customer.
    """

    name = "order"
    total: Annotated[int, Meta(ge=0), Attribute(brief="What it costs.", examples=[1250], unit="{cent}")]
    customer: Customer
    lines: dict[str, int]
    note: Annotated[str | None, Attribute(privacy=Privacy.MASK)] = None
    sql: Annotated[str | None, Attribute(requirement="opt_in")] = None


@dataclass
class BanEvent(Event, namespace="shop", deprecated=Deprecated(renamed_to="shop.block")):
    name = "ban"


def schema(cls: type) -> EventSchema:
    """Return the schema of an event class, with a key for hashes."""
    return compile_schema(cls, namespace="app", policy=PrivacyPolicy(key="example"))


def schema_with(text: str, *, version: str | None = None) -> EventSchema:
    """Return a schema with this text in every place where a class can have a text, except for a version that is given."""

    declared = Attribute(
        brief=text,
        note=text,
        examples=[text],
        unit=text,
        requirement=f"conditionally_required: {' '.join(text.split())}",
        deprecated=Deprecated(note=text),
    )
    options = {
        "version": text if version is None else version,
        "message": text.replace("{", "{{").replace("}", "}}"),
        "deprecated": Deprecated(note=text),
    }
    body = {"name": "evil", "__annotations__": {"field": Annotated[str, declared]}, "__doc__": escape_surrogates(text)}
    return schema(dataclass(types.new_class("Evil", (Event,), options, lambda namespace: namespace.update(body))))


class Page(HTMLParser):
    """The tags and texts that a browser finds in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.inside: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.tags and self.tags[-1][0] in {"script", "style"}:
            self.inside.setdefault(self.tags[-1][0], data)

    @property
    def text(self) -> str:
        """The texts of the page, with single spaces."""
        return " ".join(" ".join(self.texts).split())
