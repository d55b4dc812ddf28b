"""The links of all pages lead somewhere, and the program that checks them finds those that do not."""

from __future__ import annotations

import importlib.util
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from threads import join

pytest.importorskip("markdown_it", reason="markdown-it-py is not installed")

PROGRAM = Path(__file__).resolve().parent.parent / "docs" / "links.py"


def load() -> ModuleType:
    """Import the program, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("links_of_docs", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


links = load()


@pytest.mark.parametrize("page", links.pages(), ids=lambda page: str(page.relative_to(links.ROOT)))
def test_every_link_is_good(page: Path) -> None:
    """Each leads to a file and a heading of the repository, or is well-formed."""
    assert {link: problem for link in links.links(page) if (problem := links.problem_of(page, link))} == {}


def test_the_pages_have_links_of_every_kind() -> None:
    """The check sees links to files, headings, pictures and other sites, in the README and below `docs/`."""
    found = [link for page in links.pages() for link in links.links(page)]

    assert {"docs/demo.svg", "cli.md#heliograph-token", "https://datasette.io", "#spans-of-requests"} <= set(found)
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "index.md"} <= {page.name for page in links.pages()}


PAGE = """# First: `heliograph`, a name

## Again

## Again

| a |
|---|
| [cell](#again-1) |
"""


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("#first-heliograph-a-name", None),
        ("#again-1", None),
        ("other.md#again", None),
        ("folder/", None),
        ("https://opentelemetry.io/docs/", None),
        ("#again-2", "the file has no such heading"),
        ("picture.png#again", "the file has no such heading"),
        ("missing.md", "there is no such file"),
        ("docs/inner.md", None),
        ("../outside.md", "there is no such file"),
        *(
            (link, "a link to another site begins with https:// and the name of a host")
            for link in (
                "http://datasette.io",
                "https://localhost/docs",
                "https://user@datasette.io",
                "https://datasette.io/a b",
                "javascript:alert(1)",
                "//datasette.io",
            )
        ),
    ],
)
def test_problem_of_a_link(link: str, problem: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad links are found, of whatever kind."""
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    for name in ("page.md", "other.md"):
        (root / name).write_text(PAGE, encoding="utf-8")
    (root / "picture.png").touch()
    (root / "docs").mkdir()
    (root / "docs" / "inner.md").touch()
    (tmp_path / "outside.md").touch()
    monkeypatch.setattr(links, "ROOT", root)

    assert links.problem_of(root / "page.md", link) == problem
    assert [*links.links(root / "page.md")] == ["#again-1"]


def test_link_out_of_the_documentation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of the site may link to a file of the repository, and to no page that the site does not have."""
    (tmp_path / "docs").mkdir()
    for name in ("docs/page.md", "docs/other.md", "README.md", "example.py"):
        (tmp_path / name).touch()
    monkeypatch.setattr(links, "ROOT", tmp_path)

    problems = [links.problem_of(tmp_path / "docs" / "page.md", link) for link in ("other.md", "../example.py")]
    assert problems == [None, None]
    problem = links.problem_of(tmp_path / "docs" / "page.md", "../README.md")
    assert problem == "the site does not have this page; name it without a link"


class _Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(404 if self.path == "/gone" else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_answers_of_sites(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`--network` prints the status of each site once, or the error. The exit status is 1 if one is not 200."""
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with HTTPServer(("127.0.0.1", 0), _Site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert (links.answer_of(f"{url}/"), links.answer_of(f"{url}/gone")) == ("200", "404")
        server.shutdown()
        join(thread)
    assert "refused" in links.answer_of(url)

    monkeypatch.setattr(sys, "argv", ["links.py", "--network"])
    monkeypatch.setattr(links, "answer_of", lambda url: "404" if url == "https://datasette.io" else "200")
    assert links.main() == 1
    lines = capsys.readouterr().out.splitlines()
    assert "404  https://datasette.io" in lines
    assert len(lines) == len(set(lines))
