"""The kinds of findings: their ids are stable, and each is documented."""

from __future__ import annotations

import re
from pathlib import Path

from heliograph.delivery.transport import explain
from heliograph.doctor.diagnosis import BY_EXPLANATION
from heliograph.doctor.findings import KINDS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")
IDS = """
    H001 H002 H003 H004 H005 H006 H007 H010 H011 H012 H013 H014 H015 H016 H020 H021 H022 H023 H024 H025 H026 H027 H030 H031 H032 H033 H034 H035 H036
    H037 H038 H039 H040 H041 H042
"""


def test_ids_are_those_that_were_published() -> None:
    """An id is added here when it is published, and never changed."""
    assert [kind.id for kind in KINDS] == IDS.split()


def test_each_kind_has_a_title_and_a_fix_and_is_on_the_page() -> None:
    """The title is a phrase, and the fix is a sentence."""
    for kind in KINDS:
        assert re.fullmatch(r"[A-Z].*[^.]", kind.title)
        assert re.fullmatch(r"[A-Z].*\.", kind.fix)
        assert f"| `{kind.id}` |" in PAGE


def test_each_explanation_of_the_transport_has_a_kind() -> None:
    """A new explanation needs one, too."""
    texts = {value for name, value in vars(explain).items() if name.isupper() and not name.startswith("_")}

    assert set(BY_EXPLANATION) == texts
