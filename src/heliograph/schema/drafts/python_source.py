"""Write drafts as Python source.

Names in drafts are identifiers; every other text from elsewhere is written with `literal` or `_docstring`, so that no text
becomes code. Code that adds another text to the source must use one of the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from heliograph.events import (
    Attribute,
    Deprecated,
    EventOptions,
    Severity,
)
from heliograph.schema.drafts.draft import ClassDraft, EnumDraft, EventDraft, FieldDraft
from heliograph.values.text import escape_surrogates, escape_unprintable

_WIDTH: Final = 120
_INDENT: Final = "    "


def python_source(drafts: Iterable[EventDraft], *, origin: str) -> str:
    """Return the source of a module with these event classes and the classes that they need.

    Args:
        drafts: The event classes.
        origin: The origin of the drafts, for the module's docstring.
    """
    drafts = list(drafts)
    needed = dict.fromkeys(needed for draft in drafts for needed in draft.needs)
    blocks = ["\n".join(_enum(each) if isinstance(each, EnumDraft) else _class(each)) for each in needed]
    blocks += ["\n".join(_event(draft)) for draft in drafts]
    body = "\n\n\n".join(blocks)
    head = [*_docstring(f"Typed events, drafted from {origin}.", ""), "", "from __future__ import annotations", ""]
    return "\n".join([*head, *_imports(body), "", "", body]).rstrip("\n") + "\n"


def _imports(body: str) -> Iterator[str]:
    """Yield the imports of the names that occur in the body. A name that only occurs in a text is imported, too."""
    modules = {"dt": "import datetime as dt", "uuid": "import uuid"}
    yield from (line for name, line in modules.items() if _uses(body, name))
    yield "from dataclasses import dataclass"
    if _uses(body, "Enum"):
        yield "from enum import Enum"
    typing = [name for name in ("Annotated", "Any", "Literal") if _uses(body, name)]
    if typing:
        yield f"from typing import {', '.join(typing)}"
    yield ""
    ours = [name for name in ("Attribute", "Deprecated", "Event", "Privacy", "Severity") if _uses(body, name)]
    yield f"from heliograph import {', '.join(ours or ['Event'])}"


def _uses(body: str, name: str) -> bool:
    return re.search(rf"\b{name}\b", body) is not None


def _enum(draft: EnumDraft) -> Iterator[str]:
    yield f"class {draft.name}(Enum):"
    for name, value in draft.members:
        yield f"{_INDENT}{name} = {literal(value)}"


def _class(draft: ClassDraft) -> Iterator[str]:
    yield "@dataclass(kw_only=True)"
    yield f"class {draft.name}:"
    yield from _fields(draft.fields)


def _event(draft: EventDraft) -> Iterator[str]:
    yield "@dataclass(kw_only=True)"
    yield from _wrapped(f"class {draft.name}(", ["Event", *_keywords(draft.options)], "):", "")
    if draft.brief or draft.note:
        yield from (f"{_INDENT}{line}" if line else "" for line in _docstring(draft.brief, draft.note))
        yield ""
    yield f"{_INDENT}name = {literal(draft.event_name)}"
    if draft.fields:
        yield from _fields(draft.fields)


def _keywords(options: EventOptions) -> Iterator[str]:
    if options.namespace is not None:
        yield f"namespace={literal(options.namespace)}"
    if options.version is not None:
        yield f"version={literal(options.version)}"
    if options.severity is not Severity.INFO:
        yield f"severity={_severity(options.severity)}"
    if options.stability != "development":
        yield f"stability={literal(options.stability)}"
    if options.message is not None:
        yield f"message={literal(options.message)}"
    if options.deprecated is not None:
        yield f"deprecated={_deprecated(options.deprecated)}"


def _severity(number: int) -> str:
    # `Severity` names only the first number of each range. The others, such as 14 (WARN2), are written as numbers.
    return f"Severity.{Severity(number).name}" if number in set(Severity) else literal(number)


def _deprecated(deprecated: Deprecated) -> str:
    keywords = {"renamed_to": deprecated.renamed_to, "note": deprecated.note}
    written = [f"{key}={literal(value)}" for key, value in keywords.items() if value is not None]
    return f"Deprecated({', '.join(written)})"


def _fields(fields: Iterable[FieldDraft]) -> Iterator[str]:
    for field in fields:
        annotation = field.annotation if field.required or field.annotation == "Any" else f"{field.annotation} | None"
        default = "" if field.required else " = None"
        arguments = list(_attribute_arguments(field.declared))
        if not arguments:
            yield f"{_INDENT}{field.name}: {annotation}{default}"
            continue
        parts = [annotation, "\n".join(_wrapped("Attribute(", arguments, ")", ""))]
        yield from _wrapped(f"{field.name}: Annotated[", parts, f"]{default}", _INDENT)


def _attribute_arguments(declared: Attribute) -> Iterator[str]:
    if declared.name is not None:
        yield literal(declared.name)
    for key in ("brief", "note"):
        if getattr(declared, key):
            yield f"{key}={literal(getattr(declared, key))}"
    if declared.examples:
        yield f"examples={literal(list(declared.examples))}"
    if declared.privacy is not None:
        yield f"privacy=Privacy.{declared.privacy.name}"
    for key in ("requirement", "unit"):
        if getattr(declared, key) is not None:
            yield f"{key}={literal(getattr(declared, key))}"
    if declared.deprecated is not None:
        yield f"deprecated={_deprecated(declared.deprecated)}"


def literal(value: object) -> str:
    """Return the Python literal of a text, a number, or a list of them. Texts are in double quotes if that is as short."""
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    written = repr(value)
    # `repr` uses double quotes only if the text has a single quote. Formatters of source prefer double quotes.
    can_be_double = isinstance(value, str) and written[0] == "'" and '"' not in value
    return f'"{written[1:-1]}"' if can_be_double else written


def _wrapped(start: str, parts: list[str], end: str, indent: str) -> Iterator[str]:
    """Yield the lines of a call: one line if it is short enough, otherwise one line for each argument."""
    line = f"{indent}{start}{', '.join(parts)}{end}"
    if len(line) <= _WIDTH and "\n" not in line:
        yield line
        return
    yield f"{indent}{start}"
    for part in parts:
        yield from (f"{indent}{_INDENT}{each}" for each in f"{part},".split("\n"))
    yield f"{indent}{end}"


_CLOSING: Final = re.compile(r'"(?="|\Z)|(?<="")"')
"""Quotes that could be part of the closing ones of a docstring: in a row of several, and at the end."""


def _docstring(brief: str, note: str) -> list[str]:
    """Return the lines of a docstring with this text, which may contain any quotes and backslashes."""
    text = "\n\n".join(part for part in (brief, note) if part)
    # A lone surrogate is written as the text of its escape, because a class cannot have one in its docstring.
    stripped = "\n".join(line.rstrip() for line in escape_surrogates(text).split("\n"))
    escaped = _CLOSING.sub(r"\"", stripped.replace("\\", "\\\\"))
    lines = escape_unprintable(escaped, keep="\n").split("\n")
    return [f'"""{lines[0]}"""'] if len(lines) == 1 else [f'"""{lines[0]}', *lines[1:], '"""']
