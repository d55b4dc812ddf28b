"""The tests are collected if the SDK of dashboards is installed, which needs Python 3.11. In CI it must be, if it can."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

if find_spec("grafana_foundation_sdk") is None and (sys.version_info < (3, 11) or not os.environ.get("CI")):
    collect_ignore_glob = ["test_*.py"]
