"""Versions of Datasette that the plugin works with are distinguished from older ones."""

from __future__ import annotations

import re

import pytest

from backends import REPOSITORY
from heliograph.integrations.datasette.supported_version import OLDEST, is_supported, version_problem


@pytest.mark.parametrize(
    "version", ["1.0a41", "1.0a42", "1.0a100", "1.0b1", "1.0rc1", "1.0", "1.0.1", "1.1a1", "1.10", "2.0a1", "a branch"]
)
def test_supported_version(version: str) -> None:
    """The oldest version and all later ones are supported, and so is one that cannot be compared."""
    assert is_supported(version)


@pytest.mark.parametrize("version", ["0.65.1", "0.65", "0.100", "1.0a2", "1.0a40", "1.0a9.post1"])
def test_version_that_is_too_old(version: str) -> None:
    """Older versions are not supported. Alphas are compared by number."""
    assert not is_supported(version)


def test_problem_names_both_versions_and_the_command() -> None:
    """The text is enough to solve the problem."""
    assert version_problem("0.65.1") == (
        "Datasette 1.0a41 or later is needed, and 0.65.1 is installed; run: pip install 'heliograph[datasette]'"
    )


def test_extra_installs_a_supported_version() -> None:
    """The extra `datasette` asks for the oldest version. As that is an alpha, pip accepts alphas for it."""
    assert f'datasette = ["datasette>={OLDEST}"]' in (REPOSITORY / "pyproject.toml").read_text()


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{path.name}" for path in (REPOSITORY / "docs").glob("*.md"))])
def test_documentation_installs_a_supported_version(page: str) -> None:
    """No command of the documentation installs Datasette by its name alone: pip would choose a version that is too old."""
    for command in re.findall(r"^\$ (?:pip|uv pip) install .*$", (REPOSITORY / page).read_text(), flags=re.MULTILINE):
        assert not re.search(r"(?<![\[\w-])datasette(?![\w>=\]-])", command), command
