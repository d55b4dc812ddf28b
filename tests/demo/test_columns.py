"""Two texts are printed beside each other."""

from __future__ import annotations

import pytest

from heliograph.demo.columns import LEFT, RIGHT, beside


@pytest.mark.parametrize(("left", "right"), [(["a", "b"], ["x"]), (["a"], ["x", "y", ""]), ([], ["x"]), (["a"], [])])
def test_the_shorter_text_is_filled(left: list[str], right: list[str]) -> None:
    """Every pair has a left half of the full width."""
    pairs = beside(left, right)

    assert [before.rstrip() for before, _ in pairs][: len(left)] == left
    assert [after for _, after in pairs][: len(right)] == right
    assert {len(before) for before, _ in pairs} == {LEFT}
    assert len(pairs) == max(len(left), len(right))


def test_a_long_line_at_the_right_is_continued() -> None:
    """The next lines are indented more than the first; a word without a space is cut."""
    words = ["", *(["many-words"] * 9)]
    lines = [after for _, after in beside([], ["  " + " ".join(words).strip(), "x" * 2 * RIGHT])]

    assert lines[0].startswith("  many-words")
    assert lines[1].startswith("    many-words")
    assert "".join(lines).replace(" ", "") == "many-words" * 9 + "x" * 2 * RIGHT
    assert max(map(len, lines)) <= RIGHT
