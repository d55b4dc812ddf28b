"""The application that Django finds in ``INSTALLED_APPS``."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks

from heliograph.integrations.django.middleware_order import check_middleware_order


class HeliographConfig(AppConfig):  # type: ignore[misc]
    """Registers the system check."""

    name = "heliograph.integrations.django"
    label = "heliograph"

    def ready(self) -> None:
        """Register the check."""
        checks.register(check_middleware_order)
