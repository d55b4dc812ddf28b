"""The documentation site works without a network: its pages, their links, and its search."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from documentation.blocks import DOCS
from processes import clean_environment, run

pytest.importorskip("furo", reason="furo, and with it Sphinx, is not installed")

LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src"), ("object", "data")}
"""The attributes by which a browser loads something for a page, without a click."""


class Page(HTMLParser):
    """The links of a page, what it loads, and its anchors."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the attributes of an element."""
        for name, value in attrs:
            if value and name in {"id", "name"}:
                self.anchors.add(value)
            elif value and (tag, name) in LOADED:
                self.loaded.append(value)
            elif value and (tag, name) == ("a", "href"):
                self.links.append(value)

    def target(self, link: str) -> Path:
        """Return the file that a link leads to."""
        path = unquote(urlsplit(link).path)
        return (self.path.parent / path).resolve() if path else self.path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make site` does it: a warning fails the build."""
    folder = tmp_path_factory.mktemp("site").resolve()
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "-d", str(folder / "cache"), str(DOCS)]
    ran = run([*command, str(folder / "html")], cwd=folder, env=clean_environment(), timeout_seconds=300)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    """All pages of the site, by their files."""
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_page_is_there(site: Path) -> None:
    """Each Markdown file of the documentation is a page, and the first page leads to each."""
    sources = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    index = Page(site / "index.html")

    assert [path for path in sources if not (site / path).exists()] == []
    assert {site / path for path in sources} <= {index.target(link) for link in index.links if "://" not in link}


def test_no_page_needs_the_network(site: Path, pages: dict[Path, Page]) -> None:
    """Scripts, styles, pictures and fonts are files of the site."""
    loaded = [(page, each) for page in pages.values() for each in page.loaded]

    assert len(loaded) > len(pages)
    for page, each in loaded:
        assert not urlsplit(each).netloc, (page.path, each)
        assert page.target(each).exists(), (page.path, each)
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        outside = [each for each in re.findall(r"url\(\s*[\"']?([^)\"']+)", text) if "//" in each.partition(",")[0]]
        assert outside == []
        assert "@import" not in text


def test_every_link_within_the_site_leads_somewhere(pages: dict[Path, Page]) -> None:
    """Each leads to a file, and to an element of it if it names one."""
    for page in pages.values():
        for link in page.links:
            if urlsplit(link).scheme:
                continue
            target = page.target(link)
            assert target.exists(), (page.path, link)
            fragment = unquote(urlsplit(link).fragment)
            assert not fragment or fragment in pages[target].anchors, (page.path, link)


def found_by(site: Path, word: str) -> Iterator[str]:
    """Yield the pages that the search finds for a word, which is written as its stem."""
    script = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(script.removeprefix("Search.setIndex(").removesuffix(")"))
    for kind in ("terms", "titleterms"):
        numbers = index[kind].get(word, [])
        yield from (index["docnames"][number] for number in (numbers if isinstance(numbers, list) else [numbers]))


@pytest.mark.parametrize(
    ("word", "page"),
    [
        ("quarantin", "schemas"),
        ("captur", "testing"),
        ("heliograph_outbox", "delivery"),
        ("unregisteredev", "reference/errors"),
        ("create_token", "reference/api"),
    ],
)
def test_search_finds_a_page(site: Path, word: str, page: str) -> None:
    """The index of the search, which is a file of the site, has the words of all pages."""
    assert page in found_by(site, word)


def test_search_is_offered(site: Path) -> None:
    """The page of the search loads the index, and every page has a field that leads there."""
    assert any(each.startswith("searchindex.js") for each in Page(site / "search.html").loaded)
    assert 'action="search.html"' in (site / "index.html").read_text(encoding="utf-8")
