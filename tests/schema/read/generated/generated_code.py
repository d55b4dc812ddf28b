"""Run the source that the writers of the generator return, as a generated function does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from heliograph.schema.read.generated.function import known_to
from heliograph.schema.read.generated.source import Code, Source, indented
from heliograph.values.privacy import PrivacyPolicy

POLICY: Final = PrivacyPolicy(key="key")
NOT_COMMON: Final = object()
"""The result for a value that the source leaves to the slower way."""


def run(source: Source, parameters: str, body: Sequence[str], *arguments: object) -> Any:
    """Return the result of a function with this body."""
    name = source.function("case", parameters, body)
    return source.compile(known_to(POLICY))[name](*arguments)


def form_by(source: Source, code: Code, value: object) -> object:
    """Return the form that the source makes of a value, or `NOT_COMMON`."""
    not_common = source.constant("not_common", NOT_COMMON)
    body = [f"if {code.test}:", *indented([f"return {code.form}"]), f"return {not_common}"]
    try:
        return run(source, "value, room", body, value, [10_000])
    except Exception:
        # A generated function catches exceptions where the source says that it may raise one.
        if not code.may_raise:
            raise
        return NOT_COMMON
