"""The catalogue as a page of HTML."""

from __future__ import annotations

import base64
import hashlib
import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.schema.export.catalogue import LAYOUT
from heliograph.schema.export.html import html
from heliograph.values.text import escape_unprintable
from schema.export.pages import ATTACK, TEXTS, UNPRINTABLE, BanEvent, OrderEvent, Page, schema, schema_with


def test_the_page_is_self_contained() -> None:
    """The page loads nothing, and its policy permits only its own script and style sheet."""
    source = html([schema(OrderEvent), schema(BanEvent)])["index.html"]
    page = Page(source)
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")

    assert not re.search(r"""(src|href)=["']?(https?:|//)|url\(|@import""", source)
    assert [tag for tag, _ in page.tags].count("script") == 1
    for name in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(page.inside[name].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert [attrs["id"] for tag, attrs in page.tags if tag == "article"] == ["shop.ban", "shop.order@1"]
    links = [attrs["href"] for tag, attrs in page.tags if attrs.get("class", "").startswith("card")]
    assert links == ["#shop.ban", "#shop.order%401"]
    for text in ("An order was placed.", "What it costs.", "hash", "2 events", "ordered for 1250", "LogQL (Loki)"):
        assert text in page.text


def test_a_page_without_events_says_so() -> None:
    """The page has a sentence in place of an empty list."""
    assert "There are no events." in html([])["index.html"]


@pytest.fixture(scope="module")
def tags_of_a_harmless_page() -> set[str]:
    return {tag for tag, _ in Page(html([schema_with("text")])["index.html"]).tags}


@given(TEXTS | st.just(ATTACK) | st.from_regex(r"[<>/a-z\"'&;]{1,20}", fullmatch=True))
def test_no_text_of_a_class_is_markup(tags_of_a_harmless_page: set[str], text: str) -> None:
    """For any text, the page has the same tags and no event handlers; the text can be read."""
    page = Page(html([schema_with(text)])["index.html"])

    assert {tag for tag, _ in page.tags} <= tags_of_a_harmless_page
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert " ".join(escape_unprintable(text, keep=LAYOUT).split()) in page.text


def test_unprintable_characters_are_escaped() -> None:
    """Every text of a class is escaped, those of links included. The link of an event still leads to it."""
    source = html([schema_with(UNPRINTABLE)])["index.html"]
    page = Page(source)

    assert re.sub(r"[\n\t]", "", source).isprintable()
    assert r"a\x1b[2J\x9b31m \u202egpj.exe\u2066 \u200bb\u2028c\ud800\x7f\x07" in page.text
    [link] = [attrs["href"] for tag, attrs in page.tags if attrs.get("class", "").startswith("card")]
    [anchor] = [attrs["id"] for tag, attrs in page.tags if tag == "article"]
    assert unquote(link.removeprefix("#")) == anchor
