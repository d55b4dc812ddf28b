"""The queries for Loki and Tempo, which are not run here, have the syntax of LogQL and TraceQL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

import pytest

from backends.grammars import Language, syntax_errors
from backends.node import PACKAGES
from backends.program import CONFIG, REPOSITORY, require
from heliograph import Attribute, Event
from heliograph.schema.export.catalogue import catalogue
from schema.export.pages import OrderEvent, schema

DOCUMENTS = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")), CONFIG / "README.md")
LANGUAGES: dict[str, Language] = {"LogQL (Loki)": "logql", "TraceQL (Tempo)": "traceql"}
QUERY = re.compile(r"`(\{[^`]+=[^`]+\}[^`]*)`")


def test_a_wrong_query_is_refused() -> None:
    """The check marks what the grammar does not allow. Without a mark, a check that passes says nothing."""
    wrong: list[tuple[Language, str]] = [
        ("logql", '{service.name="shop"}'),
        ("logql", 'sum by (event_name (count_over_time({service_name="shop"}[5m]))'),
        ("logql", 'sum(count_over_time({service_name="shop"}[$__interval]))'),
        ("traceql", '{ event:name = = "shop.order" }'),
        ("traceql", '{ event:name = "shop.order"'),
    ]
    right: list[tuple[Language, str]] = [
        ("logql", 'sum by (event_name) (count_over_time({service_name="shop"} | event_name != "" [5m]))'),
        ("traceql", '{ resource.service.name = "shop" && event:name = "shop.order" }'),
    ]

    assert syntax_errors([*wrong, *right]) == [
        'logql: {service⟨here⟩.name="shop"}',
        'logql: sum by (event_name ⟨here⟩(count_over_time({service_name="shop"}[5m]))',
        'logql: sum(count_over_time({service_name="shop"}[⟨here⟩$__interval]))',
        'traceql: { event:name = ⟨here⟩= "shop.order" }',
        'traceql: { event:name = "shop.order"⟨here⟩',
    ]


def test_only_pinned_packages_are_installed() -> None:
    """Each package of Node, also one that another needs, has its version in versions.env."""
    require(PACKAGES.name)
    pinned = set(re.findall(r"^  \"(@?[\w/-]+)@\$", (CONFIG / "install.sh").read_text(), flags=re.MULTILINE))
    folders = [folder for folder in PACKAGES.glob("[!.]*") if not folder.name.startswith("@")]
    installed = {path.relative_to(PACKAGES).as_posix() for path in [*PACKAGES.glob("@*/*"), *folders]}

    assert installed == pinned


def test_queries_of_the_documents_parse() -> None:
    """Queries in the text of documents, which begin with a selector in braces."""
    queries = [query for path in DOCUMENTS for query in QUERY.findall(path.read_text())]
    asked: list[tuple[Language, str]] = [("traceql" if "event:" in query else "logql", query) for query in queries]

    assert {language for language, _ in asked} == {"logql", "traceql"}
    assert syntax_errors(asked) == []


@dataclass
class AwkwardEvent(Event, namespace="shop"):
    """An event whose values have every character that a query could need to quote."""

    name = "awkward"
    text: Annotated[str, Attribute(examples=['a "b" \\ {c} `d`'])]


@pytest.mark.parametrize("cls", [OrderEvent, AwkwardEvent])
def test_queries_of_the_catalogue_parse(cls: type[Event]) -> None:
    """The queries that `heliograph schema export` writes beside each event have the syntax of their languages."""
    (entry,) = catalogue([schema(cls)])
    asked = [(LANGUAGES[query.where], query.text) for query in entry.queries if query.where in LANGUAGES]

    assert len(asked) == 2
    assert syntax_errors(asked) == []
