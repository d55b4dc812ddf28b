"""Write the table of OpenTelemetry's semantic conventions that references to attributes are checked against.

It needs a checkout of github.com/open-telemetry/semantic-conventions, at the tag of the newest release that the package
``opentelemetry-semantic-conventions`` knows::

    git clone --depth 1 --branch v1.44.0 https://github.com/open-telemetry/semantic-conventions
    python docs/conventions.py semantic-conventions

Only facts are copied: names, types, the values of enums, stability, and the new names of deprecated attributes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

TARGET: Final = Path(__file__).resolve().parent.parent / "src" / "heliograph" / "schema" / "conventions.json"
SOURCE: Final = (
    "Facts from https://github.com/open-telemetry/semantic-conventions, "
    "Copyright The OpenTelemetry Authors, Apache-2.0; written by docs/conventions.py"
)
SCALARS: Final = ("string", "int", "double", "boolean")
ARRAYS: Final = tuple(f"{scalar}[]" for scalar in SCALARS)
TYPES: Final = frozenset(["any", *SCALARS, *ARRAYS, *(f"template[{each}]" for each in ("any", *SCALARS, *ARRAYS))])
MEMBER_TYPES: Final = {str: "string", int: "int", float: "double", bool: "boolean"}


def table(model: Path) -> str:
    """Return the text of the table, from the directory of the model: one line for each attribute, sorted by name."""
    attributes = sorted(map(facts, definitions(model)), key=lambda each: each["name"])
    names = [each["name"] for each in attributes]
    duplicates = {name for name in names if names.count(name) > 1}
    if duplicates or not names:
        raise ValueError(f"{model} defines no attributes, or these more than once: {sorted(duplicates)}")
    lines = ",\n".join(json.dumps(each, ensure_ascii=False) for each in attributes)
    return (
        f'{{"source": {json.dumps(SOURCE)},\n"version": {json.dumps(version(model))},\n"attributes": [\n{lines}\n]}}\n'
    )


def version(model: Path) -> str:
    """Return the version of the conventions: the last part of their schema URL."""
    manifest = yaml.safe_load((model / "manifest.yaml").read_text(encoding="utf-8"))
    return str(manifest["schema_url"]).rpartition("/")[2]


def definitions(model: Path) -> Iterator[dict[str, Any]]:
    """Yield every attribute that is defined, not those that are only referred to, in both formats of the model's files."""
    for path in sorted(model.rglob("*.yaml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        groups = [content, *content.get("groups", ()), *content.get("attribute_groups", ())]
        for attribute in (each for group in groups for each in group.get("attributes") or ()):
            if "type" in attribute and ("id" in attribute or "key" in attribute):
                yield attribute


def facts(attribute: dict[str, Any]) -> dict[str, Any]:
    """Return the row of an attribute, without the defaults of `heliograph.schema.conventions.Convention`."""
    name, kind = attribute.get("id") or attribute["key"], attribute["type"]
    found: dict[str, Any] = {"name": name, "type": kind}
    if isinstance(kind, dict):
        found["members"] = [member["value"] for member in kind["members"]]
        (found["type"],) = {MEMBER_TYPES[type(value)] for value in found["members"]}  # the members must have one type
    if found["type"] not in TYPES:
        raise ValueError(f"{name} has a type that heliograph does not know: {kind!r}")
    stability = attribute.get("stability", "development").replace("experimental", "development")  # its old name
    if stability != "development":
        found["stability"] = stability
    return found | deprecation(attribute.get("deprecated"))


def deprecation(entry: dict[str, str] | None) -> dict[str, str]:
    """Return the reason of a deprecation, in a word, and the new name."""
    if entry is None:
        return {}
    renamed = {"renamed_to": entry["renamed_to"]} if "renamed_to" in entry else {}
    return {"deprecated": entry["reason"]} | renamed


def main() -> int:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="the checkout, or its directory `model`")
    checkout: Path = parser.parse_args().checkout
    model = checkout / "model" if (checkout / "model").is_dir() else checkout
    TARGET.write_text(table(model), encoding="utf-8")
    print(f"{TARGET}: semantic conventions {version(model)}, {TARGET.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
