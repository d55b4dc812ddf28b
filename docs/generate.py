"""Writes the generated parts of the documentation; with ``--check``, only says whether they are up to date.

``--picture`` runs the demo, and draws what it prints.
"""

from __future__ import annotations

import argparse
import enum
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from heliograph import semconv
from heliograph.settings import FIELDS, variable_name
from heliograph.values import forms

ROOT = Path(__file__).resolve().parent.parent


def settings_table() -> str:
    """The table of settings, for the README."""
    rows = [
        (f"`{variable_name(name)}`", shown_default(name), field.metadata["doc"] + shown_host(name))
        for name, field in FIELDS.items()
    ]
    return table(("variable", "default", ""), rows)


def shown_default(name: str) -> str:
    """The default of a setting, as it would be written into its variable."""
    defaults = {"signals": "`log,span_event`", "actor": "`*,-email`"}
    default = FIELDS[name].default
    if name in defaults:
        return defaults[name]
    value = default.value if isinstance(default, enum.Enum) else default
    return f"`{str(value).lower()}`" if isinstance(value, (str, bool, int, Path)) else "none"


def shown_host(name: str) -> str:
    """What Datasette has in place of a setting."""
    instead = FIELDS[name].metadata["host"]
    return f" (In Datasette: {instead}.)" if instead else ""


def wire() -> str:
    """The page of names on the wire."""
    names = [value for value in vars(semconv).values() if isinstance(value, semconv.Name)]
    parts = ["# Names on the wire\n\nThe instrumentation scope is `heliograph`, with the package's version."]
    for title, kind in (("Attributes", semconv.AttributeName), ("Spans", semconv.SpanName)):
        rows = [(f"`{name}`", name.brief) for name in names if isinstance(name, kind)]
        parts.append(f"## {title}\n\n{table(('name', ''), rows)}")
    metrics = [(f"`{name}`", f"`{name.unit}`", name.brief) for name in names if isinstance(name, semconv.MetricName)]
    parts.append(f"## Metrics\n\n{table(('name', 'unit', ''), metrics)}")
    parts.append(EVENT_NAMES)
    return "\n\n".join(parts) + "\n"


EVENT_NAMES = """## Event names

An event is called `<namespace>.<name>`, with `-` as `_`: the `ban-user` of an application is `app.ban_user`, Datasette's
own `create-table` is `datasette.create_table`. A property is called `<event name>.<property>`, and a key of a
dict below it `<event name>.<property>.<key>`. In Datasette's own events, `database` is `db.namespace` and `table` is
`db.collection.name`."""


def value_forms() -> str:
    """The page of the forms of values, from the docstring of the module that gives them."""
    rest = (forms.__doc__ or "").partition("\n\n")[2]
    _, _, body, closing = re.split(r"^=+  =+\n", rest, flags=re.MULTILINE)
    width = rest.index("  ") + 2
    cells: list[list[str]] = []
    for line in body.splitlines():
        value, form = line[:width].strip(), line[width:].strip().replace("``", "`")
        if value:
            cells.append([value, form])
        else:
            cells[-1][1] += f" {form}"
    return f"# The form of every value\n\n{table(('Python', 'attribute'), cells)}\n\n{closing.strip()}\n"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def generated() -> dict[Path, str]:
    """The generated files, and what has to stand in them."""
    readme = ROOT / "README.md"
    before, _, rest = readme.read_text().partition("<!-- settings -->")
    after = rest.partition("<!-- /settings -->")[2]
    return {
        readme: f"{before}<!-- settings -->\n{settings_table()}\n<!-- /settings -->{after}",
        ROOT / "docs" / "wire.md": wire(),
        ROOT / "docs" / "values.md": value_forms(),
    }


def draw() -> None:
    """Draw what the demo prints."""
    from rich.console import Console  # for the picture alone
    from rich.text import Text

    with tempfile.TemporaryDirectory() as folder:
        command = "from heliograph.cli.main import cli; cli(['demo'], color=True)"
        shown = subprocess.run(
            [sys.executable, "-c", command], cwd=folder, capture_output=True, text=True, check=True, env=os.environ
        ).stdout
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=100, file=nowhere, force_terminal=True)
        console.print(Text.from_ansi(shown))
    console.save_svg(str(ROOT / "docs" / "demo.svg"), title="heliograph demo", clear=True)


def main() -> int:
    """Write, check or draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--picture", action="store_true")
    arguments = parser.parse_args()
    if arguments.picture:
        draw()
    stale = [path for path, text in generated().items() if not path.exists() or path.read_text() != text]
    for path in stale:
        print(f"{path.relative_to(ROOT)} is not what docs/generate.py writes; run `make docs`")
    if arguments.check:
        return int(bool(stale))
    for path, text in generated().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
