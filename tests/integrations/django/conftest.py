"""The settings of the project are made before a test imports models. Without Django, only tests of other processes are collected."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

if find_spec("django") is not None or os.environ.get("CI"):
    import integrations.django.project  # noqa: F401 — importing it makes the settings
else:
    names = ("apps", "middleware", "middleware_order", "streams", "user")
    collect_ignore = [f"test_{name}.py" for name in names]


@pytest.fixture(scope="package")
def database() -> Iterator[None]:
    """The tables."""
    from django.core.management import call_command
    from django.db import connections

    call_command("migrate", verbosity=0)
    yield
    connections.close_all()


@pytest.fixture
def user(database: None) -> Iterator[Any]:
    """A user who is deleted after the test."""
    from django.contrib.auth.models import User

    yield User.objects.create_user("root")
    User.objects.filter(username="root").delete()
