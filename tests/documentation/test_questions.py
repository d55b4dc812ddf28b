"""The page on the operator's questions: each answer runs as it is printed, with real programs."""

from __future__ import annotations

import re
import shlex
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from backends import Jaeger, Prometheus, VictoriaLogs, wait_until
from cli.tails import tailing
from delivery.servers import OK, serving
from documentation.blocks import DOCS, section
from heliograph.tokens.stored.token_text import ID_LENGTH, PATTERN, PREFIX
from processes import Server, clean_environment, datasette, otlp, run

PAGE = DOCS / "questions.md"
TOKEN_ID = "3JmZk0sR8fQa"
"""The id of a token on the page."""

LOSING = """
from dataclasses import dataclass
from heliograph import Event, configure

@dataclass
class Lost(Event):
    name = "lost"

with configure(events=[Lost]) as host:
    host.track(Lost())
    assert not host.flush()
"""


def answers(question: str, language: str) -> list[str]:
    """Return the blocks of a section that are in this language."""
    return [block.strip() for block in section(PAGE, question, language)]


def intro(begin: str) -> list[str]:
    """Return the other words of the command of the introduction that begins so."""
    [rest] = [each for each in answers("The operator's questions", "console") if each.startswith(f"$ {begin} ")]
    return shlex.split(rest.removeprefix(f"$ {begin} "))


def command(question: str) -> list[str]:
    """Return the words of the command that answers a question."""
    [block] = answers(question, "console")
    words = shlex.split(block.removeprefix("$ "))
    assert words[0] == "heliograph"
    return [sys.executable, "-m", *words]


@dataclass(frozen=True)
class Shop:
    """A Datasette in which a row was updated with a token, and a program that lost an event.

    Attributes:
        folder: The folder of both.
        token_id: The id of the token.
        service: The name of the services.
    """

    folder: Path
    token_id: str
    service: str

    @classmethod
    def open(cls, folder: Path, **variables: str) -> Shop:
        """Let everything happen, and wait until both have exported it as the variables say."""
        service = f"shop-{uuid4()}"
        variables = {"OTEL_SERVICE_NAME": service, **variables}
        tokens = {
            "HELIOGRAPH_TOKEN_HANDLERS": "database,signed",
            "HELIOGRAPH_TOKEN_DATABASE": str(folder / "tokens.db"),
        }
        with closing(sqlite3.connect(folder / "sales.db")) as connection, connection:
            connection.executescript(
                "create table orders (id integer primary key, state text); insert into orders values (7, '')"
            )
        (folder / "datasette.yaml").write_text("permissions:\n  update-row:\n    id: alice\n")
        made = run(
            [sys.executable, "-m", "heliograph", "token", "create", "alice"],
            cwd=folder,
            env=clean_environment(**tokens),
        )
        [token] = re.findall(PATTERN, made.stdout)
        with datasette(folder, "sales.db", "--config", "datasette.yaml", **tokens, **variables) as server:
            assert server.post("/sales/orders/7/-/update", {"update": {"state": "sent"}}, token).status == 200
            server.stop()
        with serving(lambda number, records: (413, {}, b"") if number == 0 else OK) as refusing:
            lost = clean_environment(
                **{**variables, "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": refusing.endpoint},
                HELIOGRAPH_OUTBOX=str(folder / "outbox"),
                NO_PROXY="127.0.0.1",
            )
            ran = run([sys.executable, "-c", LOSING], cwd=folder, env=lost)
        assert ran.returncode == 0, ran.stderr
        return cls(folder, token[len(PREFIX) :][:ID_LENGTH], service)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The shop of which `heliograph tail --database telemetry` has stored everything."""
    folder = tmp_path_factory.mktemp("shop")
    with tailing(folder, *intro("heliograph tail")) as tail:
        yield Shop.open(folder, **otlp(tail.endpoint))


@pytest.fixture(scope="module")
def page(shop: Shop) -> Iterator[Callable[[str, str], str]]:
    """A function that returns the page of a real Datasette that answers a question. It ends with the block's own parameters."""
    (shop.folder / "viewer").mkdir()
    with datasette(shop.folder / "viewer", *(str(shop.folder / name) for name in intro("datasette"))) as server:

        def read(question: str, token_id: str = TOKEN_ID) -> str:
            return _read(server, answers(question, "text")[0].replace(TOKEN_ID, token_id))

        yield read


def _read(server: Server, url: str) -> str:
    assert url.startswith("http://127.0.0.1:8001/")
    answer = server.get(url.removeprefix("http://127.0.0.1:8001"))
    assert answer.status == 200
    return answer.body


@pytest.fixture(scope="module")
def observed(
    tmp_path_factory: pytest.TempPathFactory, jaeger: Jaeger, victorialogs: VictoriaLogs, prometheus: Prometheus
) -> Shop:
    """A shop whose telemetry is in real backends."""
    return Shop.open(
        tmp_path_factory.mktemp("observed"),
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{jaeger.otlp_http_endpoint}/v1/traces",
        OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=victorialogs.logs_endpoint,
        OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=prometheus.metrics_endpoint,
    )


def found_by_tags(jaeger: Jaeger, question: str, shop: Shop) -> set[str]:
    """Wait until the search with the tags of the page finds traces, and return their ids."""
    [tags] = answers(question, "jaeger")
    words = dict(word.split("=", maxsplit=1) for word in shlex.split(tags.replace(TOKEN_ID, shop.token_id)))
    return wait_until(lambda: jaeger.find(shop.service, words))


def found_by_logsql(victorialogs: VictoriaLogs, question: str, shop: Shop) -> list[dict[str, str]]:
    """Wait until the query of the page finds records of the shop's token, and return them."""
    [query] = answers(question, "logsql")
    query = query.replace(TOKEN_ID, shop.token_id)

    def found() -> list[dict[str, str]]:
        return [row for row in victorialogs.query(query) if row.get("heliograph.token.id") == shop.token_id]

    return wait_until(found)


def test_every_question_has_an_answer() -> None:
    """The page has the questions that an operator asks, in this order."""
    assert re.findall(r"^## (.*)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE) == [
        "Is it working?",
        "What was lost?",
        "Which row, by whom?",
        "What did this token do?",
        "What does this event mean?",
        "Why is nothing in my backend?",
    ]


def test_is_it_working(tmp_path: Path) -> None:
    """The doctor is content with a receiver that accepts everything, and names the problem when nobody listens."""
    with tailing(tmp_path) as tail:
        environ = clean_environment(**otlp(tail.endpoint))
        well = run(command("Is it working?"), cwd=tmp_path, env=environ)
        tail.end()
    away = run(command("Is it working?"), cwd=tmp_path, env=environ)

    assert (well.returncode, well.stdout.splitlines()[-1]) == (0, "  All is well.")
    assert away.returncode == 1
    assert "H020" in away.stdout


def test_what_was_lost(shop: Shop, page: Callable[..., str]) -> None:
    """The outbox has a dead letter, and the metrics count it."""
    status = run(
        command("What was lost?"), cwd=shop.folder, env=clean_environment(HELIOGRAPH_OUTBOX=str(shop.folder / "outbox"))
    )

    assert status.returncode == 1
    assert "Dead letters: 1." in status.stdout
    losses = page("What was lost?")
    assert "heliograph.outbox.dead" in losses
    assert losses.count("<tr") == 2  # the head and one row


def test_which_row_by_whom(shop: Shop, page: Callable[..., str]) -> None:
    """The page has the database, the table, the primary key, the actor and the token."""
    changed = page("Which row, by whom?")

    row = re.sub(r"<[^>]*>|\s+", " ", changed.partition("<tbody>")[2])
    assert re.search(rf"datasette\.update_row\s+alice\s+{shop.token_id}\s+sales\s+orders\s+.*7", row), row


def test_what_a_token_did(shop: Shop, page: Callable[..., str]) -> None:
    """The page has the update, its verification, and its first use."""
    did = page("What did this token do?", shop.token_id)

    for name in ("datasette.update_row", "token.verify", "heliograph.token_first_used"):
        assert name in did


def test_what_an_event_means(tmp_path: Path) -> None:
    """The command needs nothing but the installed Datasette."""
    ran = run(
        command("What does this event mean?"), cwd=tmp_path, env=clean_environment(DATASETTE_LOAD_PLUGINS="heliograph")
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert "A row was updated." in ran.stdout
    assert "The values of the row's primary key." in ran.stdout


def test_why_nothing_is_in_the_backend(victorialogs: VictoriaLogs, tmp_path: Path) -> None:
    """The record arrives; or the path of the endpoint is wrong, which the report says with the fix."""
    words = [
        word.replace("http://localhost:9428", victorialogs.url) for word in command("Why is nothing in my backend?")
    ]
    only_logs = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "NO_PROXY": "127.0.0.1"}
    right, wrong = (
        run(words, cwd=tmp_path, env=clean_environment(OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=endpoint, **only_logs))
        for endpoint in (victorialogs.logs_endpoint, f"{victorialogs.url}/v1/logs")
    )

    assert (right.returncode, right.stdout.splitlines()[-1]) == (0, "  All is well.")
    assert wrong.returncode == 1
    assert "H033" in wrong.stdout


def test_rows_and_tokens_are_found_in_victorialogs(observed: Shop, victorialogs: VictoriaLogs) -> None:
    """The fields say which row it was, and who changed it."""
    changed = found_by_logsql(victorialogs, "Which row, by whom?", observed)
    did = found_by_logsql(victorialogs, "What did this token do?", observed)

    changed[0].pop("_time")
    assert changed == [
        {
            "event_name": "datasette.update_row",
            "user.id": "alice",
            "heliograph.token.id": observed.token_id,
            "db.namespace": "sales",
            "db.collection.name": "orders",
            "datasette.update_row.pks": '["7"]',
        }
    ]
    assert {row["event_name"] for row in did} >= {"datasette.update_row", "heliograph.token_first_used"}


def test_rows_and_tokens_are_found_in_jaeger(observed: Shop, jaeger: Jaeger) -> None:
    """Both searches find the trace of the request."""
    changed = found_by_tags(jaeger, "Which row, by whom?", observed)
    did = found_by_tags(jaeger, "What did this token do?", observed)

    assert len(changed) == 1
    assert changed <= did
    [trace_id] = changed
    assert "token.verify" in {span.name for span in jaeger.trace(trace_id)}


def test_losses_are_counted_in_prometheus(observed: Shop, prometheus: Prometheus) -> None:
    """The query finds the dead letter."""
    [query] = answers("What was lost?", "promql")

    def found() -> list[Any]:
        series = prometheus.query(query)
        return [value for labels, value in series.items() if dict(labels)["job"] == observed.service]

    assert wait_until(found) == [1.0]
