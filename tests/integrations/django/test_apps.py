"""An application in `INSTALLED_APPS` adds the system check."""

from __future__ import annotations

from django.apps import apps
from django.core import checks

from heliograph.integrations.django.apps import HeliographConfig
from heliograph.integrations.django.middleware_order import check_middleware_order


def test_package_is_the_application() -> None:
    """The application has the name and the label that a project writes."""
    config = apps.get_app_config("heliograph")

    assert type(config) is HeliographConfig
    assert config.name == "heliograph.integrations.django"


def test_check_is_one_of_the_project() -> None:
    """The check is registered with Django, so that `manage.py check` runs it."""
    assert check_middleware_order in checks.registry.registry.get_checks()
