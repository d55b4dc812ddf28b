"""Node, which runs the packages that check queries, dashboards and types.

`make backends` installs the packages, if there is npm.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from backends.program import BIN, require, skip

PACKAGES = BIN / "node_modules"
NODE_TIMEOUT_SECONDS = 120.0


def node(script: Path, *arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a script, which can load the packages, with a text as its standard input. Skip the test without Node."""
    require(PACKAGES.name)
    program = shutil.which("node")
    if program is None:
        skip("there is no 'node' in PATH")
    return subprocess.run(
        [program, script, *arguments],
        input=text,
        env={**os.environ, "NODE_PATH": str(PACKAGES)},
        capture_output=True,
        text=True,
        timeout=NODE_TIMEOUT_SECONDS,
        check=False,
    )
