"""Compare what a program prints with what a page shows.

`…` stands for the rest of a line or for a part of it, and for any lines if it is a line of its own. Times, dates, ids and tokens differ
from run to run. Where a page shows a token, or the id of one, that of the run takes its place from then on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# A token that a page shows in part, such as `hgtok_3JmZk0sR8fQa…`, shows its id.
_TOKEN = r"\b(?:dstok|hgtok)_[\w.-]+(?![\w.…-])"
_ID = r"(?<![0-9A-Za-z])[0-9A-Za-z]{12}(?![0-9A-Za-z])"
# In a page, digits and both cases distinguish the id of a token from a word.
_DOCUMENTED_ID = rf"(?=[A-Za-z]*\d)(?=[0-9a-z]*[A-Z]){_ID}"
_VARYING = (
    r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
    r"(?<!\d)\d{4}-\d\d-\d\d(?!\d)",
    r"(?<!\d)\d\d:\d\d:\d\d(?:[.,]\d+)?",
    r"\b(?=[0-9a-f]*\d)[0-9a-f]{8,64}\b",
)
_PART = re.compile("|".join(f"({each})" for each in (_TOKEN, _DOCUMENTED_ID, *_VARYING, "…", " {2,}")))


class Expectations:
    """The texts of a page, and those of a run that take their places: of ports, ids and tokens."""

    def __init__(self) -> None:
        self._actual: dict[str, str] = {}

    def replace(self, documented: str, actual: str) -> None:
        """Put the text of the run in the place of a text of the page from now on."""
        self._actual[documented] = actual

    def to_actual(self, text: str) -> str:
        """Return a text of the page as it is in the run."""
        if not self._actual:
            return text
        longest_first = sorted(self._actual, key=len, reverse=True)
        known = "|".join(map(re.escape, longest_first))
        return re.sub(rf"(?<![0-9A-Za-z])(?:{known})(?![0-9A-Za-z])", lambda match: self._actual[match[0]], text)

    def assert_printed(self, documented: list[str], printed: str) -> None:
        """Fail unless a command has printed the lines of the page, and no others."""
        assert documented
        match = re.fullmatch(self._pattern(documented), printed.rstrip("\n"))
        assert match, _difference(documented, printed)
        self._learn(documented, match)

    def are_in(self, documented: Iterable[str], printed: str) -> bool:
        """Return True if a program has printed each of the lines of the page, in whatever order."""
        return all(re.search(rf"(?m)^{self._pattern([line])}$", printed) for line in documented if line.strip())

    def _pattern(self, lines: list[str]) -> str:
        pattern = "\n".join(r"(?:.*\n)*.*" if line.strip() == "…" else self._line(line.rstrip()) for line in lines)
        # A line `…` may also stand for no line at all.
        return pattern.replace("\n(?:.*\\n)*.*", r"(?:\n.*)*")

    def _line(self, line: str) -> str:
        pattern, end = "", 0
        actual = self.to_actual(line)
        for part in _PART.finditer(actual):
            pattern += re.escape(actual[end : part.start()]) + self._part(part)
            end = part.end()
        return pattern + re.escape(actual[end:]) + r"[ \t]*"

    def _part(self, part: re.Match[str]) -> str:
        if part[0] == "…":
            return ".*"
        if part[0].isspace():
            return " +"
        if part[1] or part[2]:
            known = part[0] in self._actual.values()
            return re.escape(part[0]) if known else f"({_TOKEN if part[1] else '[0-9A-Za-z]{12}'})"
        return _VARYING[(part.lastindex or 0) - 3]

    def _learn(self, documented: list[str], match: re.Match[str]) -> None:
        """Take the tokens of the run, and their ids, in the places of those of the page."""
        shown = re.findall(f"{_TOKEN}|{_DOCUMENTED_ID}", "\n".join(documented))
        for text, actual in zip([each for each in shown if each not in self._actual], match.groups()):
            self.replace(text, actual)


def _difference(documented: list[str], printed: str) -> str:
    return "\n".join(["The page has:", *documented, "", "The command has printed:", printed])
