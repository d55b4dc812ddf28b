"""An entry of the catalogue as plain text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from heliograph.schema.export.catalogue import catalogue
from heliograph.schema.export.plain_text import plain_text
from heliograph.schema.model.event import EventSchema
from schema.export.pages import ATTACK, TEXTS, BanEvent, OrderEvent, schema, schema_with


def text_of(event: EventSchema) -> str:
    """Return the text of one event."""
    [entry] = catalogue([event])
    return plain_text(entry)


def test_text_has_the_meaning_the_attributes_an_example_and_queries() -> None:
    """Prose is wrapped, and an attribute has its type, unit, requirement and privacy below its name."""
    text = text_of(schema(OrderEvent))

    assert text.startswith("shop.order@1\n\nAn order was placed.\n\n")
    assert (
        "\n  shop.order.total\n    integer, ≥ 0 · in {cent} · required\n    What it costs.\n    For example 1250.\n"
        in text
    )
    assert '"event_name": "shop.order"' in text
    assert "\n  Jaeger, tags: otel.event.name=shop.order " in text


def test_text_of_a_deprecated_event_without_properties() -> None:
    """The text says that the event is deprecated, and that it has no properties."""
    text = text_of(schema(BanEvent))

    assert "Deprecated. Renamed to shop.block." in text
    assert "This event has no properties." in text
    assert "Attributes" not in text


@given(TEXTS | st.just(ATTACK) | st.just("a\n\nAttributes\n\n  b") | st.just("a\rAttributes\x85b"))
def test_no_text_of_a_class_makes_a_line_of_its_own(text: str) -> None:
    """No text of a class is taken for a heading of the page."""
    assert text_of(schema_with(text, version="1")).splitlines().count("Attributes") == 1
