"""The catalogue as a page of Markdown."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from heliograph.schema.export.markdown import markdown
from heliograph.schema.model.event import EventSchema
from schema.export.pages import ATTACK, TEXTS, UNPRINTABLE, BanEvent, OrderEvent, Page, schema, schema_with


def test_the_page_has_every_event() -> None:
    """Each event has a table of attributes, an anchor for the link in the contents, and examples."""
    page = markdown([schema(OrderEvent), schema(BanEvent)])["events.md"]

    assert "- [shop.order@1](#shop.order@1): An order was placed.\n" in page
    assert '<a id="shop.order@1"></a>\n\n## shop.order@1\n' in page
    assert (
        "| `shop.order.total` | integer, ≥ 0, in `{cent}` | required | plain | What it costs. For example `1250`. |"
        in page
    )
    assert "**Deprecated.** Renamed to shop.block." in page
    assert "This event has no properties." in page


def test_a_page_without_events_has_a_title() -> None:
    """A page that lists no events begins with the same heading."""
    assert markdown([])["events.md"].startswith("# Events\n")


@given(
    TEXTS
    | st.just(ATTACK)
    | st.from_regex(r"[|<>`*_~!#\[\]()\\a-z\"'&; \n\r-]{1,20}", fullmatch=True).filter(str.strip)
)
@example(" \n;")
@example("a  \nb")
@example("a\r- b")
@example("\n\n_a_")
@example("costs $5 and $6 $$x$$")
@example("a\n\n# b\n\n> c")
def test_no_text_of_a_class_is_markup(text: str) -> None:
    """For any text, the rendered page has the same elements."""
    seen, harmless = rendered(schema_with(text)), rendered(schema_with("text"))

    assert seen.tags.count(("table", {})) == 1
    assert [tag for tag, _ in seen.tags if tag in {"td", "h2", "pre", "li"}] == [
        tag for tag, _ in harmless.tags if tag in {"td", "h2", "pre", "li"}
    ]
    assert {tag for tag, _ in seen.tags} <= {tag for tag, _ in harmless.tags}


def test_unprintable_characters_are_escaped() -> None:
    """Every text of a class is escaped, and the texts of examples have JSON escapes."""
    page = markdown([schema_with(UNPRINTABLE)])["events.md"]

    assert page.replace("\n", "").isprintable()
    assert r"a\x1b\[2J\x9b31m \u202egpj.exe" in page
    assert r"`a\x1b[2J\x9b31m \u202egpj.exe\u2066 \u200bb c\ud800\x7f\x07`" in page


def test_dollar_signs_are_escaped() -> None:
    """GitHub reads a text between two dollar signs as a formula."""
    assert r"costs \$5 or \$6" in markdown([schema_with("costs $5 or $6")])["events.md"]


def test_each_version_has_its_own_anchor() -> None:
    """A version may have any characters: the links of the contents lead to its anchor."""
    versions = ("1/2", "1~2f2", "1:2", "1 2", "1~2", "1-2", "ü", '"><b>')
    source = markdown([schema_with("text", version=version) for version in versions])["events.md"]

    page = Page(MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(source))

    anchors = [attrs["id"] for tag, attrs in page.tags if tag == "a" and "id" in attrs]
    links = [attrs["href"].removeprefix("#") for tag, attrs in page.tags if tag == "a" and "href" in attrs]
    assert sorted(anchors) == sorted(links)
    assert len(set(anchors)) == len(versions)


def test_a_long_text_takes_no_longer_than_its_length() -> None:
    """Time must not grow with the square of the length: 200,000 spaces would then take minutes."""
    assert markdown([schema_with("a" + " " * 200_000 + "b")])


def rendered(one: EventSchema) -> Page:
    return Page(MarkdownIt("gfm-like", {"linkify": False}).render(markdown([one])["events.md"]))
