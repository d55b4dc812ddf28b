"""The example for Django, under gunicorn (WSGI) and uvicorn (ASGI): the receiver sees the actor of each request."""

from __future__ import annotations

import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from backends import free_port, wait_until
from integrations.mixed_actors import ACTORS, assert_none_is_mixed
from otlp_receiver import Receiver
from packages import require
from processes import EXAMPLES, http_client, otlp, program_environment, run, serving

ROUNDS = 50
"""With four requests in each, and six where async views are served, these are 200 requests and more."""

SERVERS = {
    "gunicorn, sync": ["gunicorn", "--workers", "2", "--pythonpath", str(EXAMPLES), "django_app:application", "--bind"],
    "gunicorn, gthread": [
        *("gunicorn", "--worker-class", "gthread", "--threads", "16"),
        *("--pythonpath", str(EXAMPLES), "django_app:application", "--bind"),
    ],
    "gunicorn, gevent": [
        *("gunicorn", "--worker-class", "gevent"),
        *("--pythonpath", str(EXAMPLES), "django_app:application", "--bind"),
    ],
    "daphne": ["daphne", "django_app:asgi_application", "--bind", "127.0.0.1", "--port"],
    "uvicorn": ["uvicorn", "--app-dir", str(EXAMPLES), "django_app:asgi_application", "--host", "127.0.0.1", "--port"],
}
PREPARE = f"""
import json, sys
import django_app
from django.core.management import call_command
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from rest_framework.authtoken.models import Token

call_command("migrate", verbosity=0)
User.objects.create_user("root", password="password")
users = []
for number in range({ACTORS}):
    user = User.objects.create(username=f"user{{number}}")
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    users.append([str(user.pk), session.session_key, Token.objects.create(user=user).key])
print(json.dumps(users))
"""


@dataclass(frozen=True)
class User:
    """A user, with a session and a token."""

    id: str
    session: str
    token: str


def environment(database: Path, **variables: str) -> dict[str, str]:
    environment = program_environment(
        HELIOGRAPH_SECRET="secret", FORUM_DATABASE=str(database), PYTHONWARNINGS="ignore", **variables
    )
    return {**environment, "PYTHONPATH": f"{environment['PYTHONPATH']}:{EXAMPLES}"}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[User]]:
    """A database with users, which each test copies, and the users."""
    for package in ("django", "rest_framework"):
        require(package)
    directory = tmp_path_factory.mktemp("prepared")
    variables = environment(directory / "forum.db", OTEL_SDK_DISABLED="true")
    ended = run([sys.executable, "-c", PREPARE], cwd=directory, env=variables)
    assert ended.returncode == 0, ended.stderr
    return directory / "forum.db", [User(*each) for each in json.loads(ended.stdout)]


def requests_of(url: str, user: User, number: int, *, has_async_views: bool) -> list[int]:
    """Make a request of each kind as a user, who bans and unbans users whose names begin with the user's id."""
    name = f"{user.id}-{number}"
    session = {"Cookie": f"sessionid={user.session}"}
    with http_client(url) as client:
        answers = [
            client.post(f"/users/{name}-sync/ban", headers=session),
            client.post(f"/users/ban?username={name}-stream-0&username={name}-stream-1", headers=session),
            client.post(f"/api/users/{name}-token/ban", headers={"Authorization": f"Token {user.token}"}),
            client.post(f"/users/-{name}-anonymous/ban"),
        ]
        if has_async_views:
            answers += [
                client.post(f"/users/{name}-async/unban", headers=session),
                client.post(f"/users/unban?username={name}-astream-0&username={name}-astream-1", headers=session),
            ]
    return [answer.status_code for answer in answers]


@pytest.mark.parametrize("server", SERVERS)
def test_each_event_has_the_user_of_its_request(tmp_path: Path, prepared: tuple[Path, list[User]], server: str) -> None:
    """Sync and async views, sync and async streams, a token that is verified in the view, and nobody: never another request's."""
    # Greenlets share one running event loop, and asgiref starts no second one.
    has_async_views = "gevent" not in server
    total = ROUNDS * (8 if has_async_views else 5) + 2
    for package in (*server.split(", ")[:1], *(() if has_async_views else ("gevent",))):
        require(package)
    port = free_port()
    command = [sys.executable, "-m", *SERVERS[server]]
    command.append(f"127.0.0.1:{port}" if "gunicorn" in server else str(port))
    database, users = prepared
    with Receiver() as receiver:
        exporters = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
        variables = environment(Path(shutil.copy(database, tmp_path)), **otlp(receiver.endpoint, **exporters))
        with serving(command, port=port, log=tmp_path / "log", env=variables, cwd=tmp_path) as process:
            with ThreadPoolExecutor(ACTORS) as clients:
                answers = list(
                    clients.map(
                        lambda number: requests_of(
                            process.url, users[number % ACTORS], number, has_async_views=has_async_views
                        ),
                        range(ROUNDS),
                    )
                )
            assert answers == [[200] * (6 if has_async_views else 4)] * ROUNDS, process.output()
            with http_client(process.url) as client:
                # A session that begins, and a token beside the session of somebody else.
                assert client.post("/login", json={"username": "root", "password": "password"}).status_code == 200
                assert client.post("/users/1-login/ban").status_code == 200
                both = {"Authorization": f"Token {users[0].token}"}
                assert client.post(f"/api/users/{users[0].id}-both/ban", headers=both).status_code == 200
            # Before the end: Django has no lifespan, and uvicorn ends by a signal, so nothing shuts the host down.
            wait_until(lambda: len(receiver.logs()) >= total, timeout_seconds=60)
            process.stop()
        assert "Traceback" not in process.output()
        logs = receiver.logs()
    assert_none_is_mixed(logs, total)
