"""The ambient actor in Django: the user of the current request.

As an entry of ``INSTALLED_APPS``, this package adds a system check of the order of the middleware.
"""

from heliograph.integrations.django.middleware import HeliographMiddleware

__all__ = ["HeliographMiddleware"]
