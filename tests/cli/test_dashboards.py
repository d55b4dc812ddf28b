"""`heliograph dashboards`: dashboards for the user's own events."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from heliograph.cli.main import cli
from packages import require

SOURCE = "heliograph.demo.forum"
FILES = ["heliograph-catalogue.json", "heliograph-delivery.json", "heliograph-events.json", "heliograph-tokens.json"]


def write_dashboards(*arguments: str) -> Result:
    if sys.version_info < (3, 11):
        pytest.skip("grafana-foundation-sdk needs Python 3.11")
    require("grafana_foundation_sdk")
    return CliRunner().invoke(cli, ["dashboards", *arguments])


def test_dashboards_are_written(tmp_path: Path) -> None:
    """A second run changes nothing, and other files in the folder are kept."""
    (tmp_path / "mine.json").write_text("{}")

    first = write_dashboards("--out", str(tmp_path), SOURCE)
    texts = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write_dashboards("--out", str(tmp_path), SOURCE)

    assert first.exit_code == 0, first.output
    assert sorted(texts) == sorted([*FILES, "mine.json"])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == texts
    assert "forum.ban_user: A moderator banned a user." in texts["heliograph-catalogue.json"].decode()


def test_backends_are_chosen(tmp_path: Path) -> None:
    """With `--logs loki --traces tempo`, the dashboards ask those two and Prometheus."""
    ended = write_dashboards("--out", str(tmp_path), "--logs", "loki", "--traces", "tempo", SOURCE)

    kinds = {
        variable["query"]
        for name in FILES
        for variable in json.loads((tmp_path / name).read_text())["templating"]["list"]
        if variable["type"] == "datasource"
    }
    assert ended.exit_code == 0, ended.output
    assert kinds == {"prometheus", "loki", "tempo"}


def test_settings_decide_what_identifies_an_actor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dashboards ask for the hash if the services export it in place of the id."""
    monkeypatch.setenv("HELIOGRAPH_ACTOR", "id:hash")

    ended = write_dashboards("--out", str(tmp_path), "--name", "the-forum", SOURCE)

    assert ended.exit_code == 0, ended.output
    assert "user.hash" in (tmp_path / "heliograph-events.json").read_text()
    assert (tmp_path / "heliograph-catalogue-the-forum.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no_such_module",), "cannot be imported"),
        (("--logs", "elastic", SOURCE), "'elastic' is not one of 'victorialogs', 'loki'"),
        (("--name", "../x", SOURCE), "'../x' is not a name"),
        (("--name", "a" * 20, SOURCE), "is not a name"),
        (("--name", "a-" * 9 + "aa", SOURCE), "is not a name"),  # 20 characters, 11 of which are letters
        ((), "Missing argument 'SOURCE…'"),
    ],
)
def test_mistakes_are_reported(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    """Nothing is written, and the exit status is 2."""
    ended = write_dashboards("--out", str(tmp_path), *arguments)

    assert ended.exit_code == 2
    assert message in ended.output
    assert not list(tmp_path.iterdir())


def test_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Grafana's package, the message says what to install."""
    if find_spec("grafana_foundation_sdk") is not None:
        for name in [name for name in sys.modules if name.startswith("heliograph.dashboards.")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "grafana_foundation_sdk.models.loki", None)
        monkeypatch.setitem(sys.modules, "grafana_foundation_sdk.models.dashboard", None)

    ended = CliRunner().invoke(cli, ["dashboards", "--out", str(tmp_path), SOURCE])

    assert ended.exit_code == 2
    assert "install heliograph[dashboards], which needs Python 3.11 or later" in ended.output
