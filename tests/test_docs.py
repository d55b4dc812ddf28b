"""The examples of the documentation, run as they stand there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from drafted import imported
from heliograph import Settings
from heliograph.cli.main import cli
from heliograph.schema.registry import Registry
from heliograph.schema.stored import read_stored

DOCS = Path(__file__).resolve().parent.parent / "docs"
SCHEMAS = (DOCS / "schemas.md").read_text(encoding="utf-8")


def python_of(page: str) -> str:
    """The page's blocks of Python, in order."""
    return "\n\n".join(re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL))


def test_classes_of_the_page_on_schemas_do_what_it_says() -> None:
    """They are registered, have the names that the page gives, and the upcaster makes cents of euros."""
    with imported(python_of(SCHEMAS)) as module:
        registry = Registry.of(Settings())
        order, ban = (registry.register(cls) for cls in (module.OrderPlaced, module.BanUser))

    assert order.label == "shop.order_placed@1"
    assert {leaf.attribute for leaf in order.leaves()} == {
        "shop.order.total",
        "shop.customer.name",
        "shop.order_placed.customer.country",
        "shop.order_placed.note",
        "shop.order_placed.sql",
    }
    assert order.upcasters["0"]({"total": 12.5}) == {"total": 1250}
    assert ban.renamed is not None
    assert ban.renamed.event_name == "forum.block_user"
    _, violations = read_stored(order, {"total": -1, "customer": {"name": "x", "country": "gb"}})
    assert sorted(each.path for each in violations) == ["customer.country", "total"]


def test_commands_of_the_page_on_schemas_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of `heliograph schema`, in the order of the page, in a folder with the page's classes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "shop").mkdir()
    hook = "\n\nfrom heliograph import hookimpl\n\nclass P:\n    @hookimpl\n    def register_events(self):\n        return [OrderPlaced]\n\nplugin = P()\n"
    (tmp_path / "shop" / "events.py").write_text("from __future__ import annotations\n" + python_of(SCHEMAS) + hook)
    record = {"eventName": "shop.sale", "attributes": [{"key": "shop.sale.total", "value": {"intValue": "3"}}]}
    (tmp_path / "heliograph-demo.db").write_text(
        json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})
    )
    runner = CliRunner()
    assert (
        runner.invoke(
            cli, ["schema", "export", "--format", "weaver", "--out", "registry", "shop.events:plugin"]
        ).exit_code
        == 0
    )

    commands = re.findall(r"^\$ heliograph (schema .*)$", SCHEMAS, flags=re.MULTILINE)
    for command in commands:
        result = runner.invoke(cli, command.split())
        assert result.exit_code == 0, (command, result.output)

    assert len(commands) >= 5
    assert "shop.order_placed@1" in (tmp_path / "catalogue" / "index.html").read_text(encoding="utf-8")
