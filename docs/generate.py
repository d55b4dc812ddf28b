"""Write the generated parts of the documentation.

``--check`` writes nothing: it lists the files that are out of date, and exits with status 1 if there are any.
``--picture`` also runs the demo and draws its output as ``docs/demo.svg``.
"""

from __future__ import annotations

import argparse
import ast
import enum
import inspect
import itertools
import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from heliograph import semconv
from heliograph.cli.main import cli
from heliograph.demo.forum import EVENTS
from heliograph.doctor.findings import KINDS
from heliograph.schema.export import json_vocabulary
from heliograph.schema.registry import SchemaRegistry
from heliograph.settings import FIELDS, Settings, variable_name
from heliograph.tokens.events import TOKEN_EVENTS
from heliograph.values import forms
from heliograph.values.text import to_readable_json

ROOT = Path(__file__).resolve().parent.parent
DASHBOARDS = ROOT / "collector-config" / "grafana" / "dashboards"
HELP_WIDTH = 100


def settings_table() -> str:
    """Return the table of settings."""
    rows = [
        (f"`{variable_name(name)}`", default_text(name), documentation + datasette_note(name))
        for name, documentation in documentation_of_fields(Settings).items()
    ]
    return table(("variable", "default", "meaning"), rows)


def documentation_of_fields(owner: type) -> dict[str, str]:
    """Return the text below each field of a class, by name, in order. Editors show the same text."""
    definition = next(each for each in ast.parse(inspect.getsource(owner)).body if isinstance(each, ast.ClassDef))
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in itertools.pairwise(definition.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }


def default_text(name: str) -> str:
    """Return the default of a setting as it would be written into its environment variable."""
    default = FIELDS[name].default
    if isinstance(default, (tuple, frozenset)) and default:
        words = map(str, default) if isinstance(default, tuple) else sorted(each.value for each in default)
        return f"`{','.join(words)}`"
    value = default.value if isinstance(default, enum.Enum) else default
    return f"`{str(value).lower()}`" if isinstance(value, (str, bool, int, Path)) else "none"


def datasette_note(name: str) -> str:
    """Return a note that names Datasette's own setting, if Datasette has one that replaces ours."""
    instead = FIELDS[name].metadata["in_datasette"]
    return f" (In Datasette: {instead}.)" if instead else ""


def wire_names() -> str:
    """Return the page of all names on the wire, from the constants of `heliograph.semconv`."""
    names = [value for value in vars(semconv).values() if isinstance(value, semconv.Name)]
    parts = ["# Names on the wire\n\nThe instrumentation scope is `heliograph`, with the package's version."]
    for title, kind in (("Attributes", semconv.AttributeName), ("Spans", semconv.SpanName)):
        rows = [(f"`{name}`", name.brief) for name in names if isinstance(name, kind)]
        parts.append(f"## {title}\n\n{table(('name', 'meaning'), rows)}")
    metrics = [(f"`{name}`", f"`{name.unit}`", name.brief) for name in names if isinstance(name, semconv.MetricName)]
    parts.append(f"## Metrics\n\n{table(('name', 'unit', 'meaning'), metrics)}")
    parts += [EVENT_NAMES, own_events()]
    return "\n\n".join(parts) + "\n"


EVENT_NAMES = """## Event names

An event's name on the wire is `<namespace>.<name>`, with `-` replaced by `_`: the event `ban-user` of an application is
`app.ban_user`, and Datasette's own `create-table` is `datasette.create_table`. The attribute of a property is
`<event name>.<property>`, and that of a key of a dict `<event name>.<property>.<key>`. The name of a property is written in
lower-case words: `firstName` is `first_name`, and `class_` is `class`. Keys of a dict are not changed. In Datasette's own events, the
property `database` becomes `db.namespace`, and `table` becomes `db.collection.name`.

Names do not depend on data: a property whose type is a union with a class or a dict in it, such as `Card | Cash`, is one
attribute, with JSON text."""


def own_events() -> str:
    """Return the section of heliograph's own events, from their schemas."""
    registry = SchemaRegistry(namespace="app")
    registry.register_all(TOKEN_EVENTS)
    rows = [
        (
            f"`{schema.event_name}`",
            schema.brief,
            ", ".join(f"`{each.attribute}`" for each in schema.fields or () if each.declared.name is None),
        )
        for schema in registry.values()
    ]
    return f"{OWN_EVENTS}\n\n{table(('event', 'meaning', 'attributes of its own'), rows)}"


OWN_EVENTS = """## Events about tokens

Each has `heliograph.token.target.id`, `heliograph.token.id`, `heliograph.token.handler`, and the actor. Datasette's own
`datasette.create_token` gets `heliograph.token.id`, and no second event is made for its token."""


def value_forms() -> str:
    """Return the page of value forms, from the table in the docstring of `heliograph.values.forms`."""
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


def json_schema_keywords() -> str:
    """Return the page of the keywords in exported JSON Schemas."""
    rows = [(f"`{each.name}`", each.place, each.brief) for each in json_vocabulary.KEYWORDS.values()]
    return (
        f"{JSON_SCHEMA_INTRODUCTION}\n\n{table(('keyword', 'in the schema of', 'meaning'), rows)}\n\n{JSON_SCHEMA_USE}"
    )


JSON_SCHEMA_INTRODUCTION = """# Keywords of exported JSON Schemas

`heliograph schema export --format json-schema` writes JSON Schema, draft 2020-12. All keywords that decide whether a value is
valid are the standard's, so every validator can use the documents. Each `format` also has a `pattern` that is exact, to the days of
a leap year: it does not matter whether a validator checks formats. The other keywords are annotations:"""

JSON_SCHEMA_USE = """They are the vocabulary `urn:heliograph:vocabulary`, which the meta-schema
[`json-schema-vocabulary.json`](json-schema-vocabulary.json) describes. Validators ignore unknown keywords by default, as the standard asks.
ajv in its strict mode needs their names:

```js
const Ajv = require("ajv/dist/2020").default;
const vocabulary = require("./json-schema-vocabulary.json");

const ajv = new Ajv({ strict: true });
require("ajv-formats").default(ajv);
ajv.addVocabulary(Object.keys(vocabulary.properties));
const isOrder = ajv.compile(require("./shop.order.schema.json"));
```

To check a document itself against the vocabulary: `ajv.addMetaSchema(vocabulary)`, then `ajv.validate(vocabulary.$id, document)`.
"""


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Yield a command and all commands below it, each with its full name."""
    yield name, command
    if isinstance(command, click.Group):
        for sub_name, sub_command in command.commands.items():
            yield from commands(sub_command, f"{name} {sub_name}")


def cli_reference() -> str:
    """Return the page of all commands: the ``--help`` of each."""
    parts = [CLI_INTRODUCTION]
    for name, command in commands(cli, "heliograph"):
        context = click.Context(command, info_name=name, terminal_width=HELP_WIDTH, max_content_width=HELP_WIDTH)
        parts.append(f"## `{name}`\n\n```text\n{command.get_help(context)}\n```")
    return "\n\n".join(parts) + "\n"


CLI_INTRODUCTION = """# Command line

This page is generated from the commands themselves. `python -m heliograph` is the same as `heliograph`. A command exits
with status 0 on success, 1 if it failed or found a problem (damage, an incompatible change, records that remain), and
2 if it was called wrongly or cannot use a file or a setting."""


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def findings_table() -> str:
    """Return the table of what the doctor finds."""
    rows = [
        (f"`{kind.id}`", kind.title if kind.is_problem else f"{kind.title} (no problem)", kind.fix) for kind in KINDS
    ]
    return table(("id", "finding", "what to do"), rows)


def with_section(page: Path, name: str, text: str) -> str:
    """Return the text of a page with a new section between its marks."""
    before, _, rest = page.read_text().partition(f"<!-- {name} -->")
    after = rest.partition(f"<!-- /{name} -->")[2]
    return f"{before}<!-- {name} -->\n{text}\n<!-- /{name} -->{after}"


def dashboards() -> dict[Path, str]:
    """Return the Grafana dashboards for the events of the demo.

    There are none if the SDK is not installed, which needs Python 3.11; in CI this is an error.
    """
    try:
        from heliograph.dashboards.backends import EVENT_STORES, TRACE_STORES, Backends
        from heliograph.dashboards.files import dashboard_files
    except ImportError as error:
        if os.environ.get("CI"):
            raise
        print(f"skipped the dashboards: {error}; install heliograph[dashboards]", file=sys.stderr)
        return {}
    registry = SchemaRegistry(namespace="app")
    registry.register_all(EVENTS)
    backends = Backends(events=EVENT_STORES["victorialogs"](), traces=TRACE_STORES["jaeger"]())
    files = dashboard_files(list(registry.values()), backends)
    page = dashboards_page([json.loads(text) for text in files.values()])
    return {ROOT / "docs" / "dashboards.md": page, **{DASHBOARDS / name: text for name, text in files.items()}}


def dashboards_page(dashboards: Iterable[dict[str, Any]]) -> str:
    """Return the page of all panels, from their descriptions in the dashboards for the demo."""
    parts = [DASHBOARDS_INTRODUCTION]
    for dashboard in dashboards:
        parts.append(f"## {dashboard['title']}\n\n{dashboard['description']}")
        rows: list[tuple[str, str]] = []
        for panel in dashboard["panels"]:
            if panel["type"] != "row":
                rows.append((panel["title"], panel["description"]))
                continue
            parts += [table(("panel", "what it shows"), rows)] if rows else []
            rows = [(each["title"], each["description"]) for each in panel["panels"]]
            parts.append(f"### {panel['title']}")
        parts.append(table(("panel", "what it shows"), rows))
    return "\n\n".join(parts) + "\n"


DASHBOARDS_INTRODUCTION = """# Dashboards for Grafana

The panels of each dashboard, and what to do about what they show. `collector-config/README.md` says how to get them.

At the top of a dashboard, choose services and events, or write a part of an actor or of the id of a token. *Catalogue* is here that of
the demo; `heliograph dashboards` writes that of your own events. Values in rankings, dots in graphs of durations, and attributes of an
event are links."""


def generated_files() -> dict[Path, str]:
    """Return the text that each generated file must have."""
    settings, doctor = ROOT / "docs" / "settings.md", ROOT / "docs" / "doctor.md"
    return {
        settings: with_section(settings, "settings", settings_table()),
        doctor: with_section(doctor, "findings", findings_table()),
        ROOT / "docs" / "cli.md": cli_reference(),
        ROOT / "docs" / "json-schema.md": json_schema_keywords(),
        ROOT / "docs" / "json-schema-vocabulary.json": to_readable_json(json_vocabulary.meta_schema()) + "\n",
        ROOT / "docs" / "values.md": value_forms(),
        ROOT / "docs" / "wire.md": wire_names(),
        **dashboards(),
    }


def draw_demo() -> None:
    """Run the demo, and write its output as a picture."""
    from rich.console import Console  # only the picture needs it
    from rich.text import Text

    with tempfile.TemporaryDirectory() as folder:
        # so that the picture has the short name of the command that opens the folder
        environ = os.environ | {"PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"}
        command = "from heliograph.cli.main import cli; cli(['demo'], color=True)"
        output = subprocess.run(
            [sys.executable, "-c", command], cwd=folder, capture_output=True, text=True, check=True, env=environ
        ).stdout
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=100, file=nowhere, force_terminal=True)
        console.print(Text.from_ansi(output))
    console.save_svg(str(ROOT / "docs" / "demo.svg"), title="heliograph demo", clear=True)


def main() -> int:
    """Write, check or draw, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file is out of date")
    parser.add_argument("--picture", action="store_true", help="also draw the output of the demo")
    arguments = parser.parse_args()
    if arguments.picture:
        draw_demo()
    files = generated_files()
    outdated = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    for path in outdated:
        name = path.relative_to(ROOT)
        if arguments.check:
            print(f"{name} is out of date; run `make docs`")
        else:
            path.write_text(files[path])
            print(f"wrote {name}")
    return int(arguments.check and bool(outdated))


if __name__ == "__main__":
    sys.exit(main())
