"""The public API as a type checker sees it: mypy checks this file, nothing runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import heliograph
from heliograph import (
    Attribute,
    Deprecated,
    Event,
    Host,
    OutboxFullPolicy,
    OutboxLogRecordProcessor,
    OutboxSpanProcessor,
    OutboxSync,
    Privacy,
    Settings,
    Severity,
    Signal,
    TokenHandler,
    TokenRestrictions,
    Validation,
    acting_as,
    configure,
    current_actor,
    hookimpl,
)

if TYPE_CHECKING:
    from typing_extensions import assert_type


@dataclass
class Ban(Event, namespace="forum", severity=Severity.WARN, message="{actor[id]}"):
    name = "ban"
    user: dict[str, object]
    reason: str | None = None


@dataclass
class Order(
    Event,
    version="2",
    severity=14,
    stability="stable",
    deprecated=Deprecated(renamed_to="forum.purchase", emit_both=True),
):
    name = "order"
    email: Annotated[
        str, Attribute("forum.email", brief="The address of the customer.", examples=["a@b"], privacy=Privacy.HASH)
    ]


@Order.upcast(from_version="1")
def from_first(properties: dict[str, object]) -> dict[str, object]:
    return properties


class Forum:
    @hookimpl
    def register_events(self, datasette: Host) -> list[type[Event]]:
        return [Ban]


class Letters(TokenHandler):
    name = "letters"

    async def create_token(
        self,
        datasette: object,
        actor_id: str,
        *,
        expires_after: int | None = None,
        restrictions: TokenRestrictions | None = None,
    ) -> str:
        return actor_id

    async def verify_token(self, datasette: object, token: str) -> Mapping[str, object] | None:
        return {"id": token}


def sync_program() -> None:
    with configure(plugins=[Forum()], databases={"data": "data.db"}) as host, acting_as({"id": 1}):
        assert_type(host, Host)
        host.track(Ban(user={"id": 1}, actor={"id": "root"}))
        assert_type(host.call(host.verify_token, "token"), Mapping[str, object] | None)
        assert_type(host.call(host.create_token, "root", expires_after=60), str)
        assert_type(host.flush(500), bool)
    assert_type(current_actor(), Mapping[str, object] | None)


def outbox() -> None:
    settings = Settings(outbox_sync=OutboxSync.FULL, outbox_full=OutboxFullPolicy.DROP_OLDEST)
    assert_type(settings.outbox_full, OutboxFullPolicy)
    assert_type(settings.outbox_sync, OutboxSync)
    assert_type(OutboxLogRecordProcessor("outbox", when_full=OutboxFullPolicy.REJECT), OutboxLogRecordProcessor)
    assert_type(OutboxSpanProcessor("outbox", durable=True), OutboxSpanProcessor)


async def async_program() -> None:
    async with Host(Settings(namespace="forum")) as host:
        await host.track_event(Ban(user={}))
        await host.create_token("root", restrictions=TokenRestrictions().allow_all("view-instance"))
        rows = await host.get_database().execute("select 1")
        assert_type(rows.dicts(), list[dict[str, object]])


def settings() -> None:
    chosen = Settings(
        validation="strict", signals="log", outbox_sync="full", outbox="outbox", actor="id,team", secret="x"
    )
    assert_type(chosen.validation, Validation)
    assert_type(chosen.signals, frozenset[Signal])
    assert_type(chosen.outbox, Path | None)
    assert_type(chosen.secret, tuple[str, ...])
    assert_type(Settings(signals=[Signal.LOG], actor=("id",), validation=Validation.OFF), Settings)


def mistakes(host: Host) -> None:
    Ban({"id": 1}, "spam", {"id": "root"})  # type: ignore[call-arg]  # the actor is keyword-only
    host.track("ban")  # type: ignore[arg-type]
    OutboxLogRecordProcessor(7)  # type: ignore[arg-type]  # neither lazy nor untyped
    heliograph.Outbox  # type: ignore[attr-defined]  # noqa: B018
    Settings("log")  # type: ignore[call-arg]  # settings are keyword-only
    Settings(validation="strikt")  # type: ignore[arg-type]
    Settings(outbox_max_bytes="1 GB")  # type: ignore[arg-type]
