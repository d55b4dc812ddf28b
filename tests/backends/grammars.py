"""The grammars of LogQL and TraceQL, which are those of Grafana's editors. Neither Loki nor Tempo is run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeAlias

from backends.node import node

Language: TypeAlias = Literal["logql", "traceql"]


def syntax_errors(queries: Iterable[tuple[Language, str]]) -> list[str]:
    """Return a text for each query that its grammar does not allow, which marks the first error. Skip the test without Node."""
    asked = list(queries)
    ran = node(Path(__file__).with_suffix(".cjs"), text=json.dumps(asked))
    assert ran.returncode == 0, ran.stderr
    answers: list[list[int]] = json.loads(ran.stdout)
    return [
        f"{language}: {query[: min(positions)]}⟨here⟩{query[min(positions) :]}"
        for (language, query), positions in zip(asked, answers, strict=True)
        if positions
    ]
