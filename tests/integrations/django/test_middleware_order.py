"""The system check reports a middleware that comes before the one that finds the user."""

from __future__ import annotations

import pytest
from django.core import checks
from django.test import override_settings

from integrations.django import project
from scripts import python

WITHOUT_USERS = """
import django
from django.conf import settings
from django.core.management import call_command

settings.configure(
    ROOT_URLCONF="__main__",
    INSTALLED_APPS=["heliograph.integrations.django"],
    MIDDLEWARE=["heliograph.integrations.django.HeliographMiddleware"],
)
urlpatterns = []
django.setup()
call_command("check", stdout=sys.stderr)
report(is_checked=True)
"""


@pytest.mark.parametrize(
    ("middleware", "errors"),
    [
        ([*project.AUTHENTICATION, project.OURS], []),
        ([project.AUTHENTICATION[0], project.OURS, project.AUTHENTICATION[1]], ["heliograph.E001"]),
        ([project.OURS], []),
        (project.AUTHENTICATION, []),
        ([project.OURS, "no.such.Middleware", "django.views.decorators.http.condition"], []),
    ],
)
def test_system_check_reports_the_wrong_order(middleware: list[str], errors: list[str]) -> None:
    """The check is part of `manage.py check`, and no error of its own for other problems."""
    with override_settings(MIDDLEWARE=middleware):
        assert [each.id for each in checks.run_checks() if str(each.id).startswith("heliograph")] == errors


def test_system_check_of_a_project_without_users() -> None:
    """A project need not have `django.contrib.auth`, whose middleware cannot be imported then."""
    assert python(WITHOUT_USERS).only == {"is_checked": True}
