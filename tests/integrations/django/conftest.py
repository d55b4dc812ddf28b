"""The settings of the project are made before a test imports models. Without Django, only tests of other processes are collected."""

from __future__ import annotations

import os
from importlib.util import find_spec

if find_spec("django") is not None or os.environ.get("CI"):
    import integrations.django.project  # noqa: F401 — importing it makes the settings
else:
    collect_ignore = ["test_middleware.py"]
