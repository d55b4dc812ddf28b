"""Check the links of all pages: README, CHANGELOG, the documentation and so on.

Links within the repository must lead to a file, and to a heading of it if they name one. Links to other sites must be well-formed.
``--network`` also asks each of those sites. This is no part of CI: a site may be down for an hour, and the change that is tested is not
to blame.
"""

from __future__ import annotations

import argparse
import itertools
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("benchmarks", "collector-config", "docs", "examples")
TIMEOUT_SECONDS = 20
MARKDOWN = MarkdownIt("commonmark").enable("table")


def pages() -> list[Path]:
    """Return all pages of the repository."""
    return sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])


def links(page: Path) -> Iterator[str]:
    """Yield the target of each link and each picture of a page."""
    for token in _inline(page):
        for child in token.children or ():
            target = child.attrGet("href" if child.type == "link_open" else "src")
            if isinstance(target, str):
                yield target


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and MyST make them of the text."""
    found: set[str] = set()
    tokens = MARKDOWN.parse(page.read_text(encoding="utf-8"))
    for heading, content in itertools.pairwise(tokens):
        if heading.type == "heading_open":
            text = "".join(child.content for child in content.children or ())
            anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            found.add(next(each for each in _numbered(anchor) if each not in found))
    return found


def _inline(page: Path) -> Iterator[Token]:
    yield from (token for token in MARKDOWN.parse(page.read_text(encoding="utf-8")) if token.type == "inline")


def _numbered(anchor: str) -> Iterator[str]:
    yield anchor
    for number in range(1, 1000):
        yield f"{anchor}-{number}"


def problem_of(page: Path, link: str) -> str | None:
    """Return the problem of a link, or `None` if it is good."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        is_good = (
            parts.scheme == "https"
            and "." in parts.netloc
            and re.fullmatch(r"[!-~]+", link)
            and "@" not in parts.netloc
        )
        return None if is_good else "a link to another site begins with https:// and the name of a host"
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_relative_to(ROOT) or not target.exists():
        return "there is no such file"
    docs = ROOT / "docs"
    if target.suffix == ".md" and page.is_relative_to(docs) and not target.is_relative_to(docs):
        return "the site does not have this page; name it without a link"
    if parts.fragment and (target.suffix != ".md" or parts.fragment not in anchors(target)):
        return "the file has no such heading"
    return None


def answer_of(url: str) -> str:
    """Return the status of a site's answer, or the error."""
    request = urllib.request.Request(url, headers={"User-Agent": "Mozilla/5.0 (heliograph: check of links)"})  # noqa: S310 — see below
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 — `problem_of` allows https alone
            return str(response.status)
    except urllib.error.HTTPError as error:
        return str(error.code)
    except OSError as error:
        return str(getattr(error, "reason", error))


def main() -> int:
    """Check, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", action="store_true", help="also ask the other sites")
    arguments = parser.parse_args()
    every = [(page, link) for page in pages() for link in links(page)]
    problems = [
        f"{page.relative_to(ROOT)}: {link}: {problem}" for page, link in every if (problem := problem_of(page, link))
    ]
    print(*problems, sep="\n", end="\n" if problems else "")
    failed = len(problems)
    for url in (
        sorted({link.partition("#")[0] for _, link in every if urlsplit(link).scheme == "https"})
        if arguments.network
        else ()
    ):
        answer = answer_of(url)
        failed += answer != "200"
        print(f"{answer}  {url}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
