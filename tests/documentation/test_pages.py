"""Each block of Python and of the console in the README and in the documentation runs as it is printed."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from documentation.blocks import DOCS, REPOSITORY, Block, blocks_of, pages
from documentation.preparations import PREPARATIONS, Fixture
from documentation.session import Session

RUN_ELSEWHERE = {
    # Each block answers a question: the test compares the answers with what has happened, in real backends too.
    "docs/questions.md": "tests/documentation/test_questions.py",
}
OTHER_LANGUAGES = {"", "{eval-rst}", "{toctree}", "jaeger", "js", "logsql", "promql", "text", "toml", "yaml"}
"""The languages of blocks that are no commands and no Python. Names such as `sh` and `py` would hide a block from this test."""


def name_of(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


def is_run(block: Block) -> bool:
    return block.language in {"python", "console"} and block.not_run is None


def no_preparation(session: Session, fixture: Fixture) -> AbstractContextManager[None]:
    return nullcontext()


PAGES = [name_of(page) for page in pages() if any(is_run(block) for block in blocks_of(page))]


@pytest.mark.parametrize("name", [name for name in PAGES if name not in RUN_ELSEWHERE])
def test_blocks_run_as_they_are_printed(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The blocks run in an empty folder, in order, in one shell: programs print what the page shows."""
    with Session(tmp_path) as session, PREPARATIONS.get(name, no_preparation)(session, request.getfixturevalue):
        session.run(blocks_of(REPOSITORY / name))


def test_pages_that_run_elsewhere_are_read_there() -> None:
    """The test that runs such a page names its file."""
    for page, test in RUN_ELSEWHERE.items():
        assert Path(page).name in (REPOSITORY / test).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name_of(page) for page in pages()])
def test_no_block_hides_behind_another_language(name: str) -> None:
    """Python is called `python`, and commands `console`."""
    languages = {block.language for block in blocks_of(REPOSITORY / name)}
    assert languages <= {"python", "console", *OTHER_LANGUAGES}


def test_every_page_is_in_the_index() -> None:
    """A page that is not in the index cannot be found in the site, whose build then fails."""
    listed = (DOCS / "index.md").read_text(encoding="utf-8").splitlines()
    assert [page for page in DOCS.rglob("*.md") if page.relative_to(DOCS).with_suffix("").as_posix() not in listed] == [
        DOCS / "index.md"
    ]
