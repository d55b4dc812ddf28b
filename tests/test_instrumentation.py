"""`Instrumentation` connects schemas, emitter, quarantine and tokens as the settings demand, for both hosts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import pytest

from heliograph import Attribute, Event, NotReplayable, Privacy, Settings, SettingsError, UnregisteredEvent, Validation
from heliograph.instrumentation import Instrumentation, problems_of
from heliograph.quarantine.store import Quarantine
from heliograph.semconv import TOKEN_VERIFY
from heliograph.telemetry.providers import Providers
from recorder import Telemetry
from tokens.scripted import RecordingTracker


@dataclass
class SaleEvent(Event):
    name = "sale"
    price: int
    card: Annotated[str, Attribute(privacy=Privacy.HASH)] = "4111"


@dataclass
class LargeSaleEvent(SaleEvent):
    pass


def instrumentation_of(telemetry: Telemetry, settings: Settings, event_class: type = SaleEvent) -> Instrumentation:
    instrumentation = Instrumentation(settings, Providers(**telemetry.providers), RecordingTracker())
    instrumentation.schemas.register(event_class)
    return instrumentation


def test_event_is_emitted_with_the_namespace_and_the_privacy_of_the_settings(telemetry: Telemetry) -> None:
    """The same settings reach the schemas and the actor."""
    settings = Settings(namespace="shop", privacy_key="k", actor=("id:mask",))
    instrumentation = instrumentation_of(telemetry, settings)

    instrumentation.emit(SaleEvent(price=1, actor={"id": "root", "name": "Root"}))

    assert telemetry.events == [
        (
            "shop.sale",
            {
                "shop.sale.price": 1,
                "shop.sale.card": str(instrumentation.schemas.policy.hash_form("4111")),
                "user.id": "<masked>",
            },
        )
    ]


def test_actor_hashes_have_the_key_of_the_settings(telemetry: Telemetry) -> None:
    """An actor's id and a property with the same value have the same hash."""
    settings = Settings(privacy_key="k", actor=("id:hash",))
    instrumentation_of(telemetry, settings).emit(SaleEvent(price=1, card="root", actor={"id": "root"}))

    [(_, attributes)] = telemetry.events
    assert attributes["user.hash"] == attributes["app.sale.card"]


def test_unregistered_event_is_an_error(telemetry: Telemetry) -> None:
    """A subclass of a registered class is emitted; any other class is a mistake of the program."""
    instrumentation = instrumentation_of(telemetry, Settings(validation=Validation.OFF))

    instrumentation.emit(LargeSaleEvent(price=1))
    with pytest.raises(UnregisteredEvent):
        instrumentation.emit(Event())  # type: ignore[abstract, unused-ignore]

    assert [name for name, _ in telemetry.events] == ["app.sale"]


def test_invalid_event_is_replayed_from_the_quarantine_of_the_settings(telemetry: Telemetry, tmp_path: Path) -> None:
    """An event in the quarantine is emitted by a replay alone, and only once it is valid."""
    path = tmp_path / "quarantine.db"
    instrumentation = instrumentation_of(
        telemetry, Settings(validation=Validation.QUARANTINE, quarantine=path, privacy_key="k")
    )
    instrumentation.emit(SaleEvent(price="one", actor={"id": "root"}))  # type: ignore[arg-type]
    [kept] = Quarantine(path).find()
    assert telemetry.events == []

    with pytest.raises(NotReplayable):
        instrumentation.replay(kept.record)
    assert telemetry.events == []

    instrumentation.replay(replace(kept.record, properties={**kept.record.properties, "price": 1}))
    [(name, attributes)] = telemetry.events
    assert (name, attributes["app.sale.price"], attributes["user.id"]) == ("app.sale", 1, "root")
    [log] = telemetry.logs
    assert (log.log_record.attributes or {})["log.record.uid"] == kept.record.uid


def test_quarantine_that_cannot_be_used_is_an_error_at_once(telemetry: Telemetry, tmp_path: Path) -> None:
    """The program has passed the settings itself, so nothing has checked them against the disk before."""
    file = tmp_path / "folder" / "quarantine.db"
    (tmp_path / "folder").write_text("no folder")

    with pytest.raises(SettingsError, match="quarantine: "):
        instrumentation_of(telemetry, Settings(validation=Validation.QUARANTINE, quarantine=file))


def test_token_operations_use_the_actor_setting(telemetry: Telemetry) -> None:
    """The id of a user is on the span only if it may be exported."""
    for keys in (("*",), ()):
        instrumentation = instrumentation_of(telemetry, Settings(actor=keys))
        with instrumentation.tokens.operation(TOKEN_VERIFY, "signed") as operation:
            operation.set_user("root")

    assert ["user.id" in (span.attributes or {}) for span in telemetry.spans] == [True, False]


# Attributes that the settings opt out of


@dataclass
class Buyer:
    name: str
    email: str


@dataclass
class BuyEvent(Event, message="{note} {buyer[email]}"):
    name = "buy"
    note: str
    buyer: Buyer
    meta: dict[str, object]
    card: Annotated[str, Attribute("payment.card")] = "4111"


OPT_OUT = (
    "app.buy.note",
    "app.buy.buyer.email",
    "app.buy.meta.secret",
    "payment.card",
    "user.name",
    "heliograph.actor.org.x",
)
META = {"secret": "s", "fine": 1, **{f"k{number}": number for number in range(70)}, "": "kept"}
BUYER = {"id": "root", "name": "s", "org": {"x": "s", "y": 1}}


@pytest.mark.parametrize("meta", [META, dict(reversed(META.items()))], ids=["attribute", "overflow"])
@pytest.mark.parametrize("note", ["s", 5], ids=["common", "violation"])
def test_opted_out_attributes_are_not_exported(telemetry: Telemetry, meta: dict[str, object], note: Any) -> None:
    """Fields, inner fields, keys of dicts and keys of the actor can be opted out, also in the overflow and in the body."""
    settings = Settings(opt_out=OPT_OUT)
    event = BuyEvent(note=note, buyer=Buyer("Ada", "s"), meta=meta, card="s", actor=BUYER)
    instrumentation = instrumentation_of(telemetry, settings, BuyEvent)
    instrumentation.emit(event)

    [log] = telemetry.logs
    attributes = log.log_record.attributes or {}
    assert not [name for name in attributes if name in OPT_OUT]
    assert '"secret"' not in str(attributes["heliograph.event.overflow"])
    assert "s" not in attributes.values()
    assert log.log_record.body == "? ?"
    assert (attributes["app.buy.buyer.name"], attributes["heliograph.actor.org.y"]) == ("Ada", 1)


def test_opted_out_attributes_are_not_in_the_quarantine(telemetry: Telemetry, tmp_path: Path) -> None:
    """An event in it is exported later, by a program that may have other settings."""
    file = tmp_path / "quarantine.db"
    settings = Settings(opt_out=OPT_OUT, validation=Validation.QUARANTINE, quarantine=file)
    instrumentation_of(telemetry, settings, BuyEvent).emit(
        BuyEvent(note=5, buyer=Buyer("Ada", "canary"), meta={"secret": "canary", "fine": 1}, card="canary", actor=BUYER)  # type: ignore[arg-type]
    )

    [record] = [each.record for each in Quarantine(file).find()]
    assert record.properties == {"buyer": {"name": "Ada"}, "meta": {"fine": 1}}
    assert record.actor == {"user.id": "root", "heliograph.actor.org.y": 1}


def test_settings_that_cannot_work_are_one_error(tmp_path: Path) -> None:
    """The error has also the settings that are wrong by themselves."""
    missing = tmp_path / "missing"
    environ = {
        "HELIOGRAPH_SIGNALS": "logs",
        "HELIOGRAPH_VALIDATION": "quarantine",
        "HELIOGRAPH_QUARANTINE": str(missing / "aside.db"),
        "HELIOGRAPH_TOKEN_HANDLERS": "database",
        "HELIOGRAPH_TOKEN_DATABASE": str(missing / "tokens.db"),
    }
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ, check=problems_of)
    signals, quarantine, tokens = caught.value.problems
    assert signals.startswith("HELIOGRAPH_SIGNALS: ")
    assert quarantine.startswith("quarantine: ")
    assert tokens == f"token_database: the directory {missing} does not exist, or cannot be written"
    assert not missing.exists()


@pytest.mark.parametrize("handlers", ["signed", "database", "database,signed"])
def test_token_database_that_can_be_used_is_no_problem(tmp_path: Path, handlers: str) -> None:
    """The check does not create the database."""
    tokens = tmp_path / "tokens.db"
    environ = {"HELIOGRAPH_TOKEN_HANDLERS": handlers, "HELIOGRAPH_TOKEN_DATABASE": str(tokens)}
    assert Settings.from_env(environ, check=problems_of).token_database == tokens
    assert not tokens.exists()
