"""The examples for ASGI run under a real uvicorn, and their telemetry arrives at a receiver."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from backends import free_port, wait_until
from heliograph import Host, Settings, TokenRestrictions
from heliograph.tokens.stored.operations import issue, revoke
from otlp_receiver import Receiver
from processes import EXAMPLES, Server, clean_environment, http_client, otlp, serving

SECRET = "the secret of the examples"
TRACE = "0af7651916cd43dd8448eb211c80319c"


@contextmanager
def running(tmp_path: Path, example: str, receiver: Receiver, **variables: str) -> Iterator[Server]:
    """Run an example."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), f"{example}:app", "--port", str(port)]
    environment = clean_environment(
        HELIOGRAPH_SECRET=SECRET,
        HELIOGRAPH_FLUSH_TIMEOUT_MILLIS="20000",
        NO_PROXY="127.0.0.1",
        **otlp(receiver.endpoint),
        **variables,
    )
    with serving(command, port=port, log=tmp_path / "log", env=environment, cwd=tmp_path, fresh=False) as server:
        yield server
        assert server.stop() in {0, -15}
        assert "Traceback" not in server.output()


@pytest.fixture(scope="module")
def tokens() -> dict[str, str]:
    """Tokens of different kinds."""
    with Host(Settings(secret=(SECRET,))) as host, Host(Settings(secret=("another",))) as forger:
        return {
            "valid": host.call(host.create_token, "root"),
            "restricted": host.call(
                host.create_token, "guest", restrictions=TokenRestrictions().allow_all("unban-user")
            ),
            "invalid": forger.call(forger.create_token, "root"),
            "unrecognized": "a-token-of-another-program",
        }


@pytest.mark.parametrize(("example", "restricted"), [("fastapi_app", 403), ("starlette_app", 200)])
def test_telemetry_of_an_example_arrives(tmp_path: Path, tokens: dict[str, str], example: str, restricted: int) -> None:
    """Events have the owner of the token as their actor, in async and in sync endpoints. No token arrives."""
    with Receiver() as receiver:
        with running(tmp_path, example, receiver) as server:
            accepted = [server.post(f"/users/bot/{verb}", token=tokens["valid"]) for verb in ("ban", "unban")]
            refused = {
                name: server.post("/users/bot/ban", token=tokens.get(name))
                for name in ("invalid", "unrecognized", "none")
            }
            guest = [server.post(f"/users/bot/{verb}", token=tokens["restricted"]) for verb in ("ban", "unban")]
        events = [
            (log.event_name, log.attributes["user.id"]) for log in receiver.logs() if log.event_name.startswith("forum")
        ]
        verdicts = [
            span.attributes["heliograph.token.result"] for span in receiver.spans() if span.name == "token.verify"
        ]
        servers = {span.span_id for span in receiver.spans() if span.kind == "SERVER"}
        parents = {span.parent_id for span in receiver.spans() if span.name == "token.verify"}
        raw = receiver.raw()

    assert [each.status for each in accepted] == [200, 200]
    assert [each.status for each in refused.values()] == [401, 401, 401]
    challenges = [
        each.headers.get("www-authenticate", each.headers.get("WWW-Authenticate")) for each in refused.values()
    ]
    assert challenges == ['Bearer error="invalid_token"', 'Bearer error="invalid_token"', "Bearer"]
    assert [each.status for each in guest] == [restricted, 200]
    by_guest = ["forum.unban_user"] if restricted == 403 else ["forum.ban_user", "forum.unban_user"]
    assert events == [
        ("forum.ban_user", "root"),
        ("forum.unban_user", "root"),
        *((name, "guest") for name in by_guest),
    ]
    assert parents <= servers if example == "fastapi_app" else parents == {None}
    assert verdicts == ["valid", "valid", "invalid", "unrecognized", "valid", "valid"]
    for token in tokens.values():
        assert token.encode() not in raw


@pytest.mark.parametrize("example", ["fastapi_app", "starlette_app"])
def test_database_of_tokens_that_fails(tmp_path: Path, example: str) -> None:
    """The failure is an error of its own kind, because the token may be good. A revoked token is refused."""
    database = tmp_path / "tokens.db"
    settings = Settings(token_handlers=("database",), token_database=database, secret=(SECRET,))
    with Host(settings) as host:
        token, ended = host.call(issue, host, "root").token, host.call(issue, host, "root")
        host.call(revoke, host, ended.id)
    variables = {
        "HELIOGRAPH_TOKEN_HANDLERS": "database",
        "HELIOGRAPH_TOKEN_DATABASE": str(database),
        "HELIOGRAPH_TOKEN_CACHE_SECONDS": "0",
    }
    with Receiver() as receiver:
        with running(tmp_path, example, receiver, **variables) as server:
            answers = [server.post("/users/bot/unban", token=each) for each in (token, ended.token)]
            with closing(sqlite3.connect(database)) as connection:
                # It is written in the background, and would fail later.
                first_use = "select 1 from heliograph_token_secrets where first_used is not null"
                wait_until(lambda: connection.execute(first_use).fetchone())
                connection.execute("drop table heliograph_token_secrets")
                connection.commit()
            answers += [server.post("/users/bot/unban", token=token) for _ in range(2)]
            output = server.output()
        actors = [log.attributes["user.id"] for log in receiver.logs() if log.event_name == "forum.unban_user"]

    assert [each.status for each in answers] == [200, 401, 503, 503]
    assert answers[-1].json == {"detail": "Tokens cannot be verified at the moment"}
    assert not {"www-authenticate", "WWW-Authenticate"} & set(answers[-1].headers)
    assert output.count("The token of a request could not be verified") == 1
    assert token not in output
    assert actors == ["root"]


@pytest.mark.parametrize(("sampler", "spans"), [("always_on", 2), ("always_off", 0)])
def test_traceparent_of_an_outsider_changes_nothing(
    tmp_path: Path, tokens: dict[str, str], sampler: str, spans: int
) -> None:
    """A client can neither switch our events and spans off, nor force them to be sampled. Baggage is not copied."""
    with Receiver() as receiver:
        with running(tmp_path, "starlette_app", receiver, OTEL_TRACES_SAMPLER=f"parentbased_{sampler}") as server:
            headers = {"baggage": "user.id=mallory", "Authorization": f"Bearer {tokens['valid']}"}
            with http_client(server.url) as client:
                for flags in ("00", "01"):
                    headers["traceparent"] = f"00-{TRACE}-b7ad6b7169203331-{flags}"
                    assert client.post("/users/bot/ban", headers=headers).status_code == 200
        events = [log for log in receiver.logs() if log.event_name == "forum.ban_user"]
        found = receiver.spans()

    assert [event.attributes["user.id"] for event in events] == ["root", "root"]
    assert [span.name for span in found] == ["token.verify"] * spans
    assert TRACE not in {span.trace_id for span in found} | {event.trace_id for event in events}
