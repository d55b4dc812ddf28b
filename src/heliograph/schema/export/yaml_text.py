"""Write YAML that readers of version 1.1 and of version 1.2 understand in the same way.

PyYAML writes for readers of YAML 1.1. A reader of YAML 1.2, such as Weaver's, takes more plain texts for numbers (``1e3``,
``0o17``), and does not end a line at the characters U+0085, U+2028 and U+2029. Therefore every text that begins like a number is
quoted, and every text with a character that is not printable is written with escapes.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeAlias

import yaml

Yaml: TypeAlias = dict[str, Any]

_WIDTH: Final = 100

_AMBIGUOUS: Final = re.compile(
    r"[-+.~]?[0-9]|[-+.~]|(?:y|n|yes|no|on|off|true|false|null|nan|inf|infinity)\Z", re.IGNORECASE
)
"""The beginning of a text that some version of YAML reads as a number, a truth value or null."""


class _Dumper(yaml.SafeDumper):
    """A safe dumper that quotes ambiguous texts, and repeats a value instead of referring to it."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 — the signature is PyYAML's
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    is_printable = text.replace("\n", "").isprintable()
    style = '"' if not is_printable else "'" if _AMBIGUOUS.match(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def dumps(document: Yaml) -> str:
    """Return the document as YAML, with its keys in the given order."""
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    # A character that is not printable is only in texts in double quotes, where its escape means the same.
    return "".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return f"\\U{ord(char):08x}"
