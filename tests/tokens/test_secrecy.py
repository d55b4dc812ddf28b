"""No secret is in anything that leaves the process, and no text ends in another exception than a rejection."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import sqlite3
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from heliograph import Host, Settings, TokenExpired, TokenInvalid, TokenRestrictions, tokens
from heliograph.tokens.signed import NAMESPACE
from heliograph.tokens.stored.operations import handler_of
from recorder import SECRET, Telemetry
from tokens.scripted import Handlers, Scripted

OPERATIONS = 2_000


class Workload:
    """Operations with the tokens of a host, chosen by a seed.

    Args:
        host: The host.
        chosen: The random numbers.

    Attributes:
        secrets: The parts of the tokens that must not be found.
        texts: The texts that callers and people got to see.
    """

    def __init__(self, host: Host, chosen: random.Random) -> None:
        self.host = host
        self.chosen = chosen
        self.secrets: set[str] = set()
        self.texts: list[str] = []
        self.tokens: list[str] = []
        self.ids: list[str] = []

    async def run(self) -> None:
        rare = [self.issue, self.create_signed, self.rotate, self.restrict, self.revoke, self.find, self.issue_wrongly]
        for number in range(OPERATIONS):
            operation = rare[number // 5 % len(rare)] if number % 5 == 0 else self.verify
            try:
                await operation()
            except (TokenInvalid, ValueError) as error:
                self.note_error(error)

    def add(self, token: str) -> str:
        body = token[6:]
        self.tokens.append(token)
        self.secrets |= {body[12:55]} if token.startswith("hgtok_") else set(body.split("."))
        return token

    def note_error(self, error: BaseException) -> None:
        self.texts += [repr(error), repr(vars(error)), *traceback.format_exception(error)]

    async def issue(self) -> None:
        issued = await tokens.issue(self.host, "alice", label="a label", expires_after=3600)
        self.ids.append(issued.id)
        self.texts += [repr(issued), str(issued)]
        self.add(issued.token)

    async def create_signed(self) -> None:
        self.add(await self.host.create_token("bob", handler="signed", expires_after=3600))
        self.add("dstok_" + self.host.sign({"a": "bob", "t": 1, "d": 1}, namespace=NAMESPACE))

    async def rotate(self) -> None:
        issued = await tokens.rotate(self.host, self.chosen.choice(self.ids), grace=60)
        self.texts.append(repr(issued))
        self.add(issued.token)

    async def restrict(self) -> None:
        only_view = TokenRestrictions().allow_all("view-instance")
        await tokens.restrict(self.host, self.chosen.choice(self.ids), only_view)

    async def revoke(self) -> None:
        chosen = self.chosen.choice(self.ids)
        await tokens.revoke(self.host, chosen)
        self.texts.append(repr(await tokens.tokens(self.host)))
        self.texts.append(repr(await tokens.secrets(self.host, chosen)))

    async def find(self) -> None:
        self.texts.append(repr(await tokens.find(self.host, self.chosen.choice(self.tokens))))

    async def issue_wrongly(self) -> None:
        """Use a token where something else belongs. The message must not repeat it."""
        token = self.chosen.choice(self.tokens)
        await tokens.issue(self.host, "alice", label={token: token})  # type: ignore[arg-type]

    async def verify(self) -> None:
        token = self.chosen.choice(self.tokens)
        change = self.chosen.choice([str, str, str, lambda text: text[:-1], lambda text: text + "x", str.swapcase])
        self.texts.append(repr(await self.host.verify_token(change(token))))


@pytest.fixture
def host(telemetry: Telemetry, tmp_path: Path) -> Iterator[Host]:
    """A host with both handlers. Its telemetry is recorded, and its tokens are in a file."""
    settings = Settings(secret=(SECRET,), token_handlers=("database", "signed"), token_database=tmp_path / "tokens.db")
    with telemetry.host(settings=settings) as host:
        yield host


def test_no_secret_leaves_the_process(
    host: Host,
    telemetry: Telemetry,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A secret is in no telemetry, log, `repr`, error, traceback (without local variables), output, or file."""
    caplog.set_level(logging.DEBUG)
    workload = Workload(host, random.Random(14))

    asyncio.run(workload.run())
    assert host.flush(60_000)

    handler = handler_of(host)
    texts = [*workload.texts, *map(repr, (host, host.settings, handler, handler.store, handler.cache, handler.usage))]
    texts += [telemetry.everything(), caplog.text, *capfd.readouterr()]
    texts += [file.read_bytes().decode("latin-1") for file in tmp_path.iterdir()]
    seen = "\n".join(texts)
    results = {span.attributes["heliograph.token.result"] for span in telemetry.spans if span.attributes}
    assert results >= {"created", "valid", "expired", "revoked", "invalid", "unrecognized"}
    assert len(workload.secrets) > 80
    assert [secret for secret in workload.secrets if secret in seen] == []
    assert SECRET not in seen


def test_failure_that_quotes_the_token_is_in_no_telemetry_and_no_log(
    telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    """A handler of a plugin, and a database that cannot be read, may quote it in their exceptions, which the caller gets."""
    caplog.set_level(logging.DEBUG)
    failing = Scripted(sqlite3.OperationalError("no such token: hgtok_quoted"))

    with telemetry.host(Handlers([failing])) as host, pytest.raises(sqlite3.OperationalError):
        host.call(host.verify_token, "hgtok_quoted")

    assert "quoted" not in telemetry.everything() + caplog.text
    assert telemetry.counts("heliograph.token.verifications") == {("scripted", "error"): 1}


# Bad input


def bad_texts(host: Host) -> Iterator[str]:
    """Yield texts that are no valid tokens of the host, made of valid ones."""
    with Host(Settings(secret=("another",))) as other:
        yield asyncio.run(other.create_token("root"))
    good = [
        asyncio.run(host.create_token("root", handler="database")),
        asyncio.run(host.create_token("root", handler="signed")),
    ]
    for prefix, token in itertools.product(("", "hgtok_", "dstok_", "Bearer ", "dsatok_"), ["", *good]):
        for change in (
            "",
            "\n",
            "\r\n",
            "\x00",
            " ",
            "é",
            "\u0660",
            "\U0001f4a5",
            "\udc80",
            "x",
            "=" * 3,
            "x" * 2**20,
            "é" * 2**20,
            "." * 2**16,
        ):
            yield prefix + change + token
            yield prefix + token + change
    yield good[0][:-1] + ("x" if good[0][-1] != "x" else "y")
    yield "hgtok_" + "0" * 61


def test_bad_text_has_a_result(host: Host, telemetry: Telemetry) -> None:
    """Bad text is rejected or not recognized. No other exception is raised, and each has one verdict that is no error."""
    texts = list(bad_texts(host))

    async def verify_all() -> None:
        for text in texts:
            try:
                await host.verify_token(text)
            except TokenInvalid:
                continue

    asyncio.run(verify_all())

    spans = [span for span in telemetry.spans if span.name == "token.verify"]
    assert len(spans) == len(texts)
    assert {span.attributes["heliograph.token.result"] for span in spans if span.attributes} <= {
        "valid",
        "invalid",
        "unrecognized",
    }


@pytest.mark.parametrize("lifetime", [-1, -(10**400), 10**400, 0])
def test_lifetime_of_any_size_in_a_signed_token_has_a_result(host: Host, lifetime: int) -> None:
    """A lifetime is over, or endless. 0 is no limit, as in Datasette."""
    token = "dstok_" + host.sign({"a": "root", "t": 1_000_000, "d": lifetime}, namespace=NAMESPACE)

    if lifetime < 0:
        with pytest.raises(TokenExpired):
            asyncio.run(host.verify_token(token))
    else:
        actor = asyncio.run(host.verify_token(token))
        assert actor is not None
        assert actor["id"] == "root"


@pytest.mark.parametrize("lifetime", [-1, 0, -(10**400), 10**400, True, 1.5])
@pytest.mark.parametrize("create", [tokens.issue, Host.create_token])
def test_lifetime_that_cannot_be_used_is_a_value_error(
    host: Host, create: Callable[..., Awaitable[object]], lifetime: object
) -> None:
    """No token is created or stored."""
    with pytest.raises(ValueError, match="expires_after must be"):
        asyncio.run(create(host, "root", expires_after=lifetime))  # type: ignore[arg-type]

    assert asyncio.run(tokens.tokens(host)) == []
