"""A system check of the order of Django's middleware."""

from __future__ import annotations

from typing import Any

from django import conf
from django.apps import apps
from django.core import checks
from django.utils.module_loading import import_string

from heliograph.integrations.django.middleware import HeliographMiddleware


def check_middleware_order(**_: object) -> list[Any]:
    """Return an error if `HeliographMiddleware` comes before the middleware that determines the user."""
    # Without this application, `AuthenticationMiddleware` cannot be imported.
    if not apps.is_installed("django.contrib.auth"):
        return []
    # Imported here, because it cannot be imported before all applications are loaded.
    from django.contrib.auth.middleware import AuthenticationMiddleware

    paths = conf.settings.MIDDLEWARE
    classes = [_imported(path) for path in paths]
    ours = [number for number, cls in enumerate(classes) if issubclass(cls, HeliographMiddleware)]
    authentication = [number for number, cls in enumerate(classes) if issubclass(cls, AuthenticationMiddleware)]
    if not ours or not authentication or ours[0] > authentication[-1]:
        return []
    message = f"{paths[ours[0]]} is before {paths[authentication[-1]]}: it finds no user."
    hint = "Move it below the authentication in MIDDLEWARE."
    return [checks.Error(message, hint=hint, id="heliograph.E001")]


def _imported(path: str) -> type:
    try:
        middleware = import_string(path)
    except ImportError:
        # Django reports it when it loads the middleware.
        return object
    return middleware if isinstance(middleware, type) else object
