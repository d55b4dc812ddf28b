"""The changelog has its two parts, with the sections that CONTRIBUTING.md names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

CHANGELOG: Final = (Path(__file__).resolve().parent.parent / "CHANGELOG.md").read_text(encoding="utf-8")
RELEASE, _, CHANGES = CHANGELOG.partition("\n## Changes since the first preview\n")


def sections(text: str, level: int) -> dict[str, str]:
    """Return the text below each heading of a level, and what is before the first one as `""`."""
    parts = re.split(rf"(?m)^{'#' * level} (.*)\n", text)
    return dict(zip(["", *parts[1::2]], parts[::2]))


def test_areas_of_the_changes_are_those_of_the_release_in_the_same_order() -> None:
    areas = [area for area in sections(RELEASE, 3) if area in sections(CHANGES, 3)]

    assert list(sections(CHANGES, 3)) == areas


def test_each_line_is_in_a_section() -> None:
    """No line is above the first area of a part, nor in an area of the changes above *Changed* and *Fixed*."""
    changes = {area: sections(text, 4) for area, text in sections(CHANGES, 3).items()}
    above = [sections(RELEASE, 3)[""], *(texts[""] for texts in changes.values())]

    assert [text for text in above if re.search(r"(?m)^- ", text)] == []
    assert {name for texts in changes.values() for name in texts} == {"", "Changed", "Fixed"}


def test_release_is_what_is_there() -> None:
    """The sections of a release compare with no earlier state, and each leads to the pages."""
    areas = {area: text for area, text in sections(RELEASE, 3).items() if area}

    assert re.findall(r"\b(?:no longer|any more|now|previously)\b", "".join(areas.values())) == []
    assert [area for area, text in areas.items() if "](" not in text] == []
