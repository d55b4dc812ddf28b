"""A Django project: `HELIOGRAPH_SECRET=… python examples/django_app.py migrate`, then `… runserver`.

It is in one file, which other servers find as `gunicorn --pythonpath examples django_app:application` (WSGI) and
`uvicorn --app-dir examples django_app:asgi_application` (ASGI).
"""

import json
import os
import sys

import django
import forum
from django.conf import settings

from heliograph import configure

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    DATABASES={
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ.get("FORUM_DATABASE", "forum.db")}
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "rest_framework",
        "rest_framework.authtoken",
        "heliograph.integrations.django",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "heliograph.integrations.django.HeliographMiddleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY=os.environ.get("HELIOGRAPH_SECRET", "not a secret"),
)
django.setup()

from django.contrib.auth import authenticate, login
from django.core.asgi import get_asgi_application
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse, StreamingHttpResponse
from django.urls import path
from rest_framework.authentication import TokenAuthentication
from rest_framework.decorators import api_view, authentication_classes
from rest_framework.response import Response

host = configure(plugins=[forum])


def log_in(request):
    """Begin a session."""
    user = authenticate(request, **json.loads(request.body))
    if user is None:
        return JsonResponse({}, status=401)
    login(request, user)
    return JsonResponse({})


def ban(request, username):
    host.track(forum.BanUserEvent(user={"username": username}))
    return JsonResponse({"banned": username})


async def unban(request, username):
    await host.track_event(forum.UnbanUserEvent(user={"username": username}))
    return JsonResponse({"unbanned": username})


def ban_many(request):
    """Ban users, and stream their names."""

    def bans():
        for username in request.GET.getlist("username"):
            host.track(forum.BanUserEvent(user={"username": username}))
            yield f"{username}\n"

    return StreamingHttpResponse(bans())


async def unban_many(request):
    """Lift the bans of users, and stream their names."""

    async def unbans():
        for username in request.GET.getlist("username"):
            await host.track_event(forum.UnbanUserEvent(user={"username": username}))
            yield f"{username}\n"

    return StreamingHttpResponse(unbans())


@api_view(["POST"])
@authentication_classes([TokenAuthentication])
def ban_by_token(request, username):
    """Ban a user. Django REST Framework authenticates by a token, in the view."""
    host.track(forum.BanUserEvent(user={"username": username}))
    return Response({"banned": username})


urlpatterns = [
    path("login", log_in),
    path("users/<username>/ban", ban),
    path("users/<username>/unban", unban),
    path("users/ban", ban_many),
    path("users/unban", unban_many),
    path("api/users/<username>/ban", ban_by_token),
]

application = get_wsgi_application()
asgi_application = get_asgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
