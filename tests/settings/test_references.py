"""References in the configuration of a plugin are replaced at any depth."""

from __future__ import annotations

from pathlib import Path

import pytest

from heliograph.settings import resolve_references


def test_references_in_a_plugins_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`$env` and `$file` are replaced at any depth, but only in a dict with no other key."""
    (tmp_path / "password").write_text("from the file")
    monkeypatch.setenv("A_VARIABLE", "from the environment")
    monkeypatch.delenv("NO_VARIABLE", raising=False)
    reference, path = {"$env": "A_VARIABLE"}, {"$file": str(tmp_path / "password")}

    assert resolve_references({"a": [reference, {"b": path}], "c": {"$env": "NO_VARIABLE"}, "d": 1}) == {
        "a": ["from the environment", {"b": "from the file"}],
        "c": None,
        "d": 1,
    }
    for more in ({**reference, "other": 1}, {**path, "other": 1}):
        assert resolve_references(more) == more
    assert resolve_references(None) is None
