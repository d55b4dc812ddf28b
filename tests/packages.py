"""Packages that a test needs: those of the environment of the tests, and others that are installed apart from it."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

TIMEOUT_SECONDS = 300.0


def install_apart(directory: Path, *arguments: str) -> None:
    """Run `pip install` with these arguments, into a directory.

    A program finds the packages with that directory in PYTHONPATH, and nothing else but them with Python's option `-S`.
    The test is skipped if they cannot be installed, because there is no network or no pip. In CI it fails.
    """
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--no-compile", "--target", str(directory), *arguments]
    try:
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIMEOUT_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        _skip(f"cannot be installed: {arguments}: {error.stderr or error}")


def require(package: str) -> None:
    """Skip the test if a package is not installed. In CI it fails."""
    if find_spec(package) is None:
        _skip(f"{package} is not installed: run `make test`")


def _skip(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
