"""A chapter of the demo: texts, and the numbers that prove them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Count:
    """A number that the program reported, and the one that was found afterwards.

    Attributes:
        what: A description.
        sent: The number that the program reported.
        arrived: The number that was found where it should be.
    """

    what: str
    sent: int
    arrived: int

    @property
    def is_complete(self) -> bool:
        """True if nothing is missing, and nothing is there that nobody sent."""
        return self.sent == self.arrived


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """A chapter. Texts may come from the receiver, to which any program of this machine can send.

    Attributes:
        title: The heading.
        code: The lines of the code that ran; empty if the chapter is about no code in particular.
        seen: The lines about what was seen. Indented lines belong to the one before.
        counts: The numbers that must agree.
    """

    title: str
    code: list[str] = field(default_factory=list)
    seen: list[str]
    counts: list[Count] = field(default_factory=list)
