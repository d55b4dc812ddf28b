"""The catalogue as a page of Markdown."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from heliograph.schema.export.markdown import markdown
from heliograph.schema.model.event import EventSchema
from schema.export.pages import ATTACK, TEXTS, BanEvent, OrderEvent, Page, schema, schema_with


def test_the_page_has_every_event() -> None:
    """With a table of attributes, an anchor for the link in the contents, and examples."""
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
    """And nothing else."""
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
def test_no_text_of_a_class_is_markup(text: str) -> None:
    """For any text, the rendered page has the same elements."""
    seen, harmless = rendered(schema_with(text)), rendered(schema_with("text"))

    assert seen.tags.count(("table", {})) == 1
    assert [tag for tag, _ in seen.tags if tag in {"td", "h2", "pre", "li"}] == [
        tag for tag, _ in harmless.tags if tag in {"td", "h2", "pre", "li"}
    ]
    assert {tag for tag, _ in seen.tags} <= {tag for tag, _ in harmless.tags}


def rendered(one: EventSchema) -> Page:
    return Page(MarkdownIt("gfm-like", {"linkify": False}).render(markdown([one])["events.md"]))
