"""Warn once for each class whose values cannot be exported in full.

An attacker may choose the classes, so the number of warnings is bounded. Two threads may report at once: `dict.setdefault`
is one step of the interpreter.
"""

from __future__ import annotations

import contextlib
from typing import Final

from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE
from heliograph.values.stored import class_name

MAX_WARNINGS: Final = 256
"""The number of classes that are named in the log of one process."""

logger: Final = SafeLogger(SCOPE)

_first_reports: Final[dict[str, object]] = {}


def report_unknown(cls: type) -> None:
    """Warn that values of a class are exported as the name of the class, and name the way to change that."""
    name = class_name(cls)
    _warn_once(
        name, f"Values of {name} are exported as <{name}>. heliograph.register_converter registers a function for them."
    )


def report_failure(cls: type, error: BaseException | None) -> None:
    """Warn that a value could not be read. The text of the error is not logged, because it may contain private values."""
    name = class_name(cls)
    problem = "took too long" if error is None else f"raised {class_name(type(error))}"
    _warn_once(name, f"Reading a value of {name} {problem}. Such values are exported as <{name}>.")


def report_unknown_arguments(cls: type) -> None:
    """Warn that objects of a generic class cannot know their type arguments, and name the ways to declare them."""
    name = class_name(cls)
    _warn_once(
        f"{name}[]",
        f"Objects of {name} do not know their type arguments, which may ask for privacy: fields that have the type of a type "
        f"parameter are exported as <masked>. Annotate the field that holds the objects as {name}[…], or use a subclass.",
    )


def _warn_once(name: str, message: str) -> None:
    if name in _first_reports or len(_first_reports) > MAX_WARNINGS:
        return
    is_last = len(_first_reports) == MAX_WARNINGS
    token = object()
    if _first_reports.setdefault(name, token) is token:  # pragma: no branch — another thread was faster
        # A filter of the program's logging may raise.
        with contextlib.suppress(Exception):
            logger.warning(
                "%s", "Values of more classes cannot be exported; they are not reported." if is_last else message
            )
