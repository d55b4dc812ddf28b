"""Measure the size of heliograph's dependencies: install it into a new environment, and print a table.

The sizes are those of the installed files, without compiled bytecode. They depend on the system and on Python, and are written into
``docs/install.md`` by hand, with the date.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

MEASURE = """
from importlib.metadata import distributions
from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name

installed = {canonicalize_name(each.metadata["Name"]): each for each in distributions()}


def required_by(name, seen=()):
    found = set()
    for text in installed[name].requires or ():
        requirement = Requirement(text)
        other = canonicalize_name(requirement.name)
        if other not in seen and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            found |= {other} | required_by(other, {*seen, *found, other})
    return found


def megabytes(names):
    files = [each.locate() for name in names for each in installed[name].files or () if each.suffix != ".pyc"]
    return sum(each.stat().st_size for each in files if each.exists()) / 1e6


direct = sorted({canonicalize_name(Requirement(text).name) for text in installed["heliograph"].requires if "extra ==" not in text})
for name in direct:
    rest = required_by(name)
    print(f"{name} {installed[name].version}: {megabytes([name]):.1f} MB; with {len(rest)} more: {megabytes([name, *rest]):.1f} MB")
every = required_by("heliograph")
print(f"heliograph: {megabytes(['heliograph']):.1f} MB; all {len(every)} others: {megabytes(every):.1f} MB")
for name in sorted(every, key=lambda each: -megabytes([each]))[:5]:
    print(f"  {name}: {megabytes([name]):.1f} MB")
"""


def main() -> None:
    """Install, measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        python = str(Path(folder) / "bin" / "python")
        constraints = str(ROOT / "constraints" / "newest.txt")
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--constraint", constraints, str(ROOT)], check=True)
        subprocess.run([python, "-c", MEASURE], check=True)


if __name__ == "__main__":
    main()
