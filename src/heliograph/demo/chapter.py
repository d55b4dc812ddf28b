"""A chapter of the demo: its code, the observed telemetry, and numbers that must agree."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Count:
    """A number that the program reported, and the number that was found afterwards.

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
        """True if the numbers are equal: nothing is missing, and nothing arrived that was not sent."""
        return self.sent == self.arrived


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """A chapter. Its texts must be escaped before they are printed: any program on this machine can send to the receiver.

    Attributes:
        title: The heading.
        code: The lines of the code that ran; empty if the chapter is about no code in particular.
        seen: The lines about the telemetry that was observed. Indented lines belong to the line before them.
        counts: The numbers that must agree.
    """

    title: str
    code: list[str] = field(default_factory=list)
    seen: list[str]
    counts: list[Count] = field(default_factory=list)
