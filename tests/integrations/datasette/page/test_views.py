"""The page in a real Datasette: its permissions, its entry in the menu, its JSON, and the form that requeues dead letters."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasette.app import Datasette

from delivery.outboxes import encoded_record
from heliograph.delivery.journal.batch import Entry
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.outbox import requeue as requeue_module
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.integrations.datasette.instance_state import state_of

pytestmark = pytest.mark.anyio

ROOT = {"id": "root"}
VIEWER = {"id": "viewer"}


@pytest.fixture
async def ds(instances: Callable[..., Any], telemetry: object, tmp_path: Path) -> Datasette:
    """A Datasette with an outbox, whose root may do everything, and `viewer` may view the page."""
    config = {
        "permissions": {"heliograph-view": {"id": ["root", "viewer"]}, "heliograph-requeue": {"id": "root"}},
        "plugins": {"heliograph": {"outbox": str(tmp_path / "box"), "quarantine": str(tmp_path / "quarantine.db")}},
    }
    return await instances(config=config)


@pytest.fixture
def box(tmp_path: Path) -> OutboxDirectory:
    """The outbox, with two dead letters."""
    box = OutboxDirectory(tmp_path / "box", max_bytes=10**9)
    for number in range(2):
        entry = Entry(0, Scope(scope=b""), encoded_record(f"<b>{number}</b>"))
        box.dead_letters.put(Header(resource=b""), entry, reason="bad_data", message="no")
    return box


async def request(ds: Datasette, method: str, path: str, actor: dict[str, str] | None = None, **form: str) -> Any:
    cookies = {"ds_actor": ds.client.actor_cookie(actor)} if actor else {}
    options = {"data": form or {"all": "1"}} if method == "POST" else {}
    return await getattr(ds.client, method.lower())(path, cookies=cookies, **options)


@pytest.mark.parametrize("path", ["/-/heliograph", "/-/heliograph.json"])
@pytest.mark.parametrize(("actor", "status"), [(None, 403), ({"id": "other"}, 403), (VIEWER, 200), (ROOT, 200)])
async def test_page_is_private(ds: Datasette, path: str, actor: dict[str, str] | None, status: int) -> None:
    response = await request(ds, "GET", path, actor)

    assert response.status_code == status
    if status == 200:
        assert response.headers["cache-control"] == "private, no-store"


async def test_menu_has_an_entry_for_those_who_may_view_the_page(ds: Datasette) -> None:
    pages = [(await request(ds, "GET", "/", actor)).text for actor in (None, VIEWER)]

    assert ['href="/-/heliograph"' in page for page in pages] == [False, True]


async def test_page_shows_what_the_json_has(ds: Datasette, box: OutboxDirectory) -> None:
    """Texts are escaped, and the events of the core are in the catalogue."""
    found = (await request(ds, "GET", "/-/heliograph.json", ROOT)).json()
    page = (await request(ds, "GET", "/-/heliograph", ROOT)).text

    assert found["outbox"]["dead_letters"] == 2
    assert str(found["process"]["pid"]) in page
    assert "&lt;b&gt;0&lt;/b&gt;" in page
    assert "<b>0" not in page
    labels = [event["label"] for event in found["events"]]
    assert "datasette.insert_rows" in labels
    assert all(label in page for label in labels)


async def test_only_those_who_may_requeue_see_the_form(ds: Datasette, box: OutboxDirectory) -> None:
    pages = [(await request(ds, "GET", "/-/heliograph", actor)).text for actor in (VIEWER, ROOT)]

    assert ["/-/heliograph/requeue" in page for page in pages] == [False, True]


@pytest.mark.parametrize(("form", "left"), [({"id": "1"}, 1), ({}, 0)], ids=["one", "all"])
async def test_dead_letters_are_requeued(ds: Datasette, box: OutboxDirectory, form: dict[str, str], left: int) -> None:
    response = await request(ds, "POST", "/-/heliograph/requeue", ROOT, **form)

    assert (response.status_code, response.headers["location"]) == (302, "/-/heliograph")
    assert box.dead_letters.count() == left
    [folder] = box.folders()
    assert not box.is_locked(folder)


@pytest.mark.parametrize("number", ["7", "-1", "1 or 1=1", "9" * 30, "\u0661"])
async def test_number_that_is_no_letters_changes_nothing(ds: Datasette, box: OutboxDirectory, number: str) -> None:
    response = await request(ds, "POST", "/-/heliograph/requeue", ROOT, id=number)

    assert response.status_code == 302
    assert (box.dead_letters.count(), box.folders()) == (2, [])


@pytest.mark.parametrize("actor", [None, VIEWER])
async def test_requeueing_has_a_permission_of_its_own(
    ds: Datasette, box: OutboxDirectory, actor: dict[str, str] | None
) -> None:
    assert (await request(ds, "POST", "/-/heliograph/requeue", actor)).status_code == 403
    assert box.dead_letters.count() == 2


async def test_requeueing_needs_post(ds: Datasette, box: OutboxDirectory) -> None:
    response = await request(ds, "GET", "/-/heliograph/requeue", ROOT)

    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert box.dead_letters.count() == 2


async def test_forms_of_other_sites_are_refused(ds: Datasette, box: OutboxDirectory) -> None:
    cookies = {"ds_actor": ds.client.actor_cookie(ROOT)}
    response = await ds.client.post(
        "/-/heliograph/requeue", cookies=cookies, data={"all": "1"}, headers={"Origin": "https://example.com"}
    )

    assert response.status_code == 403
    assert box.dead_letters.count() == 2


async def page_after_requeue(ds: Datasette) -> str:
    """Requeue all dead letters, and return the page with the message."""
    response = await request(ds, "POST", "/-/heliograph/requeue", ROOT)
    assert response.status_code == 302
    cookies = {"ds_actor": ds.client.actor_cookie(ROOT), "ds_messages": response.cookies["ds_messages"]}
    text: str = (await ds.client.get("/-/heliograph", cookies=cookies)).text
    return text


async def test_missing_outbox_is_no_error(ds: Datasette) -> None:
    assert (await request(ds, "POST", "/-/heliograph/requeue", ROOT)).status_code == 302


async def test_outbox_that_cannot_be_changed_is_reported(
    ds: Datasette, box: OutboxDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("canary")

    monkeypatch.setattr(requeue_module, "requeue", fail)
    page = await page_after_requeue(ds)

    assert "The outbox cannot be changed (OSError)." in page
    assert "canary" not in page


async def test_dead_letters_stay_if_the_outbox_is_full(ds: Datasette, box: OutboxDirectory) -> None:
    box_settings = state_of(ds).settings
    (box.directory / "other").write_bytes(b"")
    os.truncate(box.directory / "other", box_settings.outbox_max_bytes)
    page = await page_after_requeue(ds)

    expected = (
        f"no room for them within its maximum size of {box_settings.outbox_max_bytes} bytes. Nothing was changed."
    )
    assert expected in page
    assert box.dead_letters.count() == 2
