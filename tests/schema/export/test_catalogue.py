"""The catalogues for people: what they say, and that nothing in them is markup but ours."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import types
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from msgspec import Meta

from heliograph import Attribute, Deprecated, Event, Privacy, Settings, Severity, acting_as, hookimpl
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.export.catalogue import catalogue
from heliograph.schema.export.html import html
from heliograph.schema.export.markdown import markdown
from heliograph.values.privacy import PrivacyPolicy
from recorder import Telemetry, without_uid

EVIL = (
    """<script>alert(1)</script> "quoted" 'text' | `code` ``more`` [link](javascript:alert(1)) {{ 7 * 7 }} </style>"""
)


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


class Shop:
    @hookimpl
    def register_events(self):
        return [OrderEvent]


def schema(cls: type):
    return compile_schema(cls, namespace="app", policy=PrivacyPolicy(key="example"))


def test_entry_says_what_there_is_to_know() -> None:
    """Of an event and of each attribute."""
    ban, order = catalogue([schema(OrderEvent), schema(BanEvent)])

    assert (ban.label, ban.brief, ban.deprecated) == ("shop.ban", "The event ban.", "Renamed to shop.block.")
    assert (order.label, order.brief, order.note) == ("shop.order@1", "An order was placed.", "By a customer.")
    assert ("severity", "WARN (13)") in order.facts
    assert [(row.attribute, row.type, row.requirement, row.privacy, row.unit, row.examples) for row in order.rows] == [
        ("shop.order.total", "integer, ≥ 0", "required", "", "{cent}", ("1250",)),
        ("shop.customer.name", "string", "required", "hash", "", ()),
        ("shop.order.customer.country", "string, at most 2 characters", "recommended", "", "", ("GB",)),
        ("shop.order.lines.*", "object of integer", "required", "", "", ()),
        ("shop.order.note", "string", "recommended", "mask", "", ()),
        ("shop.order.sql", "string", "opt_in", "", "", ()),
    ]


def test_example_is_what_is_emitted_of_such_an_event() -> None:
    """By a host with the same key: log record and span event, name by name and value by value."""
    (entry,) = catalogue([schema(OrderEvent)])
    with acting_as({"id": "root"}):
        event = OrderEvent(total=1250, customer=Customer("<name>"), lines={"<key>": 1}, note="secret", sql="select 1")
    telemetry = Telemetry()
    with telemetry.host(Shop(), settings=Settings(secret=("s",), privacy_key="example")) as host:
        with telemetry.tracer.start_as_current_span("request"):
            host.track(event)
    log, span_event = telemetry.logs[0].log_record, telemetry.span_events[0]

    record, shown = json.loads(entry.log_record), json.loads(entry.span_event)
    assert without_uid(record["attributes"]) == without_uid(log.attributes)
    assert without_uid(shown["attributes"]) == without_uid(span_event.attributes)
    assert (record["body"], record["event_name"], record["severity_number"]) == (
        log.body,
        log.event_name,
        log.severity_number.value,
    )
    assert shown["name"] == span_event.name


def test_queries_find_the_event() -> None:
    """In Loki, in Tempo, in Jaeger."""
    (entry,) = catalogue([schema(OrderEvent)])

    assert [(query.where, query.text) for query in entry.queries] == [
        ("LogQL (Loki)", '{service_name=~".+"} | event_name="shop.order" | user_id="root"'),
        ("TraceQL (Tempo)", '{ event:name = "shop.order" && event.user.id = "root" }'),
        ("Jaeger, tags", "shop.order.total=1250 user.id=root"),
    ]


def test_page_of_markdown_has_every_event() -> None:
    """With a table of attributes, an anchor that the contents lead to, and examples."""
    page = markdown([schema(OrderEvent), schema(BanEvent)])["events.md"]

    assert "- [shop.order@1](#shop.order@1): An order was placed.\n" in page
    assert '<a id="shop.order@1"></a>\n\n## shop.order@1\n' in page
    assert (
        "| `shop.order.total` | integer, ≥ 0, in `{cent}` | required | plain | What it costs. Such as `1250`. |" in page
    )
    assert "**Deprecated.** Renamed to shop.block." in page
    assert "It has no properties." in page


class Page(HTMLParser):
    """What a browser makes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.inside: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)
        if self.tags and self.tags[-1][0] in {"script", "style"}:
            self.inside.setdefault(self.tags[-1][0], data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def test_page_of_html_is_whole() -> None:
    """It loads nothing, and its policy lets run its own script alone."""
    text = html([schema(OrderEvent), schema(BanEvent)])["index.html"]
    page = Page(text)
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")

    assert not re.search(r"""(src|href)=["']?(https?:|//)|url\(|@import""", text)
    assert [tag for tag, _ in page.tags].count("script") == 1
    for name in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(page.inside[name].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert [attrs["id"] for tag, attrs in page.tags if tag == "article"] == ["shop.ban", "shop.order@1"]
    links = [attrs["href"] for tag, attrs in page.tags if attrs.get("class", "").startswith("card")]
    assert links == ["#shop.ban", "#shop.order%401"]
    for said in ("An order was placed.", "What it costs.", "hash", "2 events", "ordered for 1250", "LogQL (Loki)"):
        assert said in page.text


def test_page_without_events_says_so() -> None:
    """In both forms."""
    assert "There are no events." in html([])["index.html"]
    assert markdown([])["events.md"].startswith("# Events\n")


@pytest.fixture(scope="module")
def tags_of_a_harmless_page():
    return {tag for tag, _ in Page(html([evil_schema("text")])["index.html"]).tags}


def evil_schema(said: str):
    """A class that says this wherever it can say something."""

    declared = Attribute(
        brief=said,
        note=said,
        examples=[said],
        unit=said,
        requirement=f"conditionally_required: {' '.join(said.split())}",
        deprecated=Deprecated(note=said),
    )
    options = {
        "version": said,
        "message": said.replace("{", "{{").replace("}", "}}"),
        "deprecated": Deprecated(note=said),
    }
    body = {"name": "evil", "__annotations__": {"text": Annotated[str, declared]}, "__doc__": said}
    return schema(dataclass(types.new_class("Evil", (Event,), options, lambda namespace: namespace.update(body))))


texts = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1).filter(str.strip)


@given(texts | st.just(EVIL) | st.from_regex(r"[<>/a-z\"'&;]{1,20}", fullmatch=True))
def test_text_of_a_class_is_never_markup(tags_of_a_harmless_page, said: str) -> None:
    """The page has the tags that it always has, with no handlers; the text is there to read."""
    page = Page(html([evil_schema(said)])["index.html"])

    assert {tag for tag, _ in page.tags} <= tags_of_a_harmless_page
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert " ".join(said.split()) in page.text


@given(
    texts | st.just(EVIL) | st.from_regex(r"[|<>`*_~!#\[\]()\\a-z\"'&; \n-]{1,20}", fullmatch=True).filter(str.strip)
)
def test_text_of_a_class_is_never_markup_in_markdown(said: str) -> None:
    """A reader of Markdown sees the elements that are always there, and the text."""
    seen, harmless = rendered(evil_schema(said)), rendered(evil_schema("text"))

    assert seen.tags.count(("table", {})) == 1
    assert [tag for tag, _ in seen.tags if tag in {"td", "h2", "pre", "li"}] == [
        tag for tag, _ in harmless.tags if tag in {"td", "h2", "pre", "li"}
    ]
    assert {tag for tag, _ in seen.tags} <= {tag for tag, _ in harmless.tags}


def rendered(one) -> Page:
    return Page(MarkdownIt("gfm-like", {"linkify": False}).render(markdown([one])["events.md"]))
