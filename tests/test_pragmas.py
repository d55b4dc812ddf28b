"""A line or branch that is excluded from the coverage has a reason, which a reader finds next to it."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import heliograph

SOURCES = Path(heliograph.__file__).parent
WITH_REASON = re.compile(r"# pragma: no (cover|branch) — \w")


def pragmas(path: Path) -> list[str]:
    """Return the comments of a module that contain a pragma, each with its line."""
    text = path.read_text(encoding="utf-8")
    if "pragma" not in text.lower():
        return []
    return [
        f"{path.relative_to(SOURCES)}:{token.start[0]}: {token.string}"
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT and "pragma" in token.string.lower()
    ]


def test_every_pragma_has_a_reason() -> None:
    """The form is `# pragma: no cover — the reason`, or `no branch`; coverage ignores any other."""
    found = [pragma for path in sorted(SOURCES.rglob("*.py")) for pragma in pragmas(path)]

    assert found
    assert [pragma for pragma in found if not WITH_REASON.search(pragma)] == []
