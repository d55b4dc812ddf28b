"""A host tracks events from any thread and loop, and has the interface that plugins use."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import anyio.lowlevel
import itsdangerous
import pytest

from heliograph import DatabaseNotFound, Host, Settings, UnregisteredEvent, hookimpl
from host.pages import AsyncReader, PageEvent, Pages, Reader, eventually, heliograph_threads, numbers, request_id
from quarantine.test_store import RECORD
from recorder import SECRET, DeferringStore, Telemetry
from threads import LIMIT_SECONDS


@dataclass
class SignedPageEvent(PageEvent):
    signature: str


# Events


def test_track_returns_after_the_event_is_emitted_and_the_sync_hooks_have_run(telemetry: Telemetry) -> None:
    """When `track` returns, only async hooks have yet to run."""
    reader = Reader()

    with telemetry.host(reader) as host:
        host.track(PageEvent(1))

        assert reader.numbers == [1]
        assert telemetry.events == [("app.page", {"app.page.number": 1})]


def test_track_works_inside_a_running_loop(telemetry: Telemetry) -> None:
    """Called from a coroutine, `track` neither fails nor waits for that coroutine's loop."""
    reader = AsyncReader()
    host = telemetry.host(reader)

    async def program():
        host.track(PageEvent(1))

    asyncio.run(program())

    assert host.shutdown()
    assert (numbers(telemetry), reader.numbers) == ([1], [1])


def test_every_event_of_many_threads_is_emitted_once(telemetry: Telemetry) -> None:
    """No event is lost or duplicated if threads track at once, even the first events, which start the host."""
    sync_reader, async_reader = Reader(), AsyncReader()
    host = telemetry.host(sync_reader, async_reader)
    barrier = threading.Barrier(8, timeout=LIMIT_SECONDS)

    def track(start: int) -> None:
        barrier.wait(LIMIT_SECONDS)
        for number in range(start, start + 50):
            host.track(PageEvent(number))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(track, range(0, 400, 50)))

    assert host.shutdown()
    expected = list(range(400))
    assert sorted(numbers(telemetry)) == expected
    assert sorted(sync_reader.numbers) == expected
    assert sorted(async_reader.numbers) == expected


def test_every_event_of_tasks_and_threads_is_emitted_once(telemetry: Telemetry) -> None:
    """`track` in threads and `track_event` in tasks share one startup."""
    reader = AsyncReader()
    host = telemetry.host(reader)

    async def program():
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(host.track_event, PageEvent(number))
                tasks.start_soon(anyio.to_thread.run_sync, host.track, PageEvent(100 + number))

    anyio.run(program)

    assert host.shutdown()
    expected = [*range(20), *range(100, 120)]
    assert sorted(numbers(telemetry)) == expected
    assert sorted(reader.numbers) == expected


def test_async_hooks_run_in_order_and_in_the_context_of_the_caller(telemetry: Telemetry) -> None:
    """A context variable has the value that it had when `track` was called."""
    reader = AsyncReader()

    with telemetry.host(reader) as host:
        for number in range(20):
            token = request_id.set(f"request {number}")
            host.track(PageEvent(number))
            request_id.reset(token)
        assert host.flush()

    assert reader.numbers == list(range(20))
    assert reader.request_ids == [f"request {number}" for number in range(20)]


@pytest.mark.anyio
async def test_track_event_awaits_the_async_hooks_in_the_callers_task(telemetry: Telemetry) -> None:
    """The async hooks have run when `track_event` returns."""
    reader = AsyncReader()

    async with telemetry.host(reader) as host:
        request_id.set("mine")
        await host.track_event(PageEvent(1))

        assert (reader.numbers, reader.request_ids) == ([1], ["mine"])


@pytest.mark.anyio
async def test_track_event_awaits_an_outbox_before_the_hooks(telemetry: Telemetry) -> None:
    """The event loop goes on until the record is on the disk. Each task awaits its own record."""
    reader, store = Reader(), DeferringStore()
    telemetry.logger_provider.add_log_record_processor(store)

    async with telemetry.host(reader) as host:
        first, second = (asyncio.ensure_future(host.track_event(PageEvent(number))) for number in (1, 2))
        await anyio.lowlevel.checkpoint()
        assert len(store.records) == 2
        assert reader.numbers == []
        store.records[1].set()
        await second
        first.cancel()
        await asyncio.wait([first])
        assert reader.numbers == [2]

        host.track(PageEvent(3))
        assert len(store.records) == 2, "nobody awaits, so it waits itself"


def test_async_hook_may_track(telemetry: Telemetry) -> None:
    """`track` does not wait for itself on the host's own loop."""

    class Chain(Pages):
        @hookimpl
        def track_event(self, datasette, event):
            async def follow():
                if event.number < 5:
                    datasette.track(PageEvent(event.number + 1))

            return follow

    with telemetry.host(Chain()) as host:
        host.track(PageEvent(1))

        assert eventually(lambda: numbers(telemetry) == [1, 2, 3, 4, 5])


def test_unregistered_event_is_an_error_that_names_its_class(telemetry: Telemetry) -> None:
    """The message says what to do, and nothing is emitted."""
    with telemetry.host() as host:
        with pytest.raises(UnregisteredEvent, match=r"PageEvent is not registered: return it from") as caught:
            host.track(PageEvent(1))

        assert caught.value.event_class is PageEvent
        assert isinstance(caught.value, KeyError)
    assert telemetry.events == []


@pytest.mark.anyio
async def test_unregistered_event_is_an_error_of_track_event_too(telemetry: Telemetry) -> None:
    """`track_event` checks the class of the event, as `track` does."""
    async with telemetry.host() as host:
        with pytest.raises(UnregisteredEvent):
            await host.track_event(PageEvent(1))


def test_subclass_of_a_registered_class_is_emitted_under_the_name_of_its_ancestor(telemetry: Telemetry) -> None:
    """The event has its further fields, and the violation that its class is not declared."""
    with telemetry.host(Pages()) as host:
        host.track(SignedPageEvent(number=1, signature="cleverbot"))

        assert host.event_classes == (PageEvent,)
    [(name, attributes)] = telemetry.events
    assert name == "app.page"
    assert attributes == {
        "app.page.number": 1,
        "app.page.signature": "cleverbot",
        "heliograph.event.violations": ("unplanned-event",),
    }


# Startup


class Starting(Pages):
    """Counts its startups, and tracks an event in each, from a sync or an async hook."""

    def __init__(self, sync=False):
        self.starts = 0
        self._sync = sync

    @hookimpl
    def startup(self, datasette):
        async def start():
            await datasette.track_event(PageEvent(0))
            self._start(datasette)

        return self._start(datasette) if self._sync else start

    def _start(self, datasette):
        self.starts += 1
        datasette.track(PageEvent(0))


@pytest.mark.parametrize("sync", [True, False])
def test_startup_hook_may_track(telemetry: Telemetry, sync: bool) -> None:
    """The event classes are registered by then, and the host does not wait for its own startup."""
    starting = Starting(sync=sync)

    with telemetry.host(starting) as host:
        host.track(PageEvent(1))

    assert starting.starts == 1
    assert numbers(telemetry) == ([0, 1] if sync else [0, 0, 1])


def test_startup_hooks_run_before_the_first_verification(telemetry: Telemetry) -> None:
    """An async startup hook runs in the event loop of the caller."""
    started = []

    class Starting:
        @hookimpl
        def startup(self, datasette):
            async def start():
                started.append(asyncio.get_running_loop())

            return start

    async def verify() -> None:
        assert await host.verify_token("of nobody") is None
        assert started == [asyncio.get_running_loop()]

    host = telemetry.host(Starting())
    asyncio.run(verify())
    host.shutdown()


def test_startup_hooks_run_once_before_the_first_event_of_threads_and_tasks(telemetry: Telemetry) -> None:
    """All who track at the same time wait, and no event is emitted before the hooks have run."""
    starting = Starting()
    host = telemetry.host(starting)
    barrier = threading.Barrier(4, timeout=LIMIT_SECONDS)

    def track_in_a_thread(number: int) -> None:
        barrier.wait(LIMIT_SECONDS)
        host.track(PageEvent(number))

    def track_in_tasks(number: int) -> None:
        async def program():
            async with anyio.create_task_group() as tasks:
                for further in range(5):
                    tasks.start_soon(host.track_event, PageEvent(number + further))

        barrier.wait(LIMIT_SECONDS)
        anyio.run(program)

    with ThreadPoolExecutor(4) as pool:
        work = [(track_in_a_thread, 1), (track_in_a_thread, 2), (track_in_tasks, 10), (track_in_tasks, 20)]
        list(pool.map(lambda pair: pair[0](pair[1]), work))

    assert host.shutdown()
    assert starting.starts == 1
    assert numbers(telemetry)[:2] == [0, 0]
    assert sorted(numbers(telemetry)) == [0, 0, 1, 2, *range(10, 15), *range(20, 25)]


# The rest of Datasette's interface that plugins use


@pytest.mark.anyio
async def test_get_database_returns_the_named_or_the_first_database(telemetry: Telemetry, tmp_path: Path) -> None:
    """Without a name it returns the first one that the host was given, as Datasette does."""
    async with telemetry.host(databases={"one": tmp_path / "1.db", "two": tmp_path / "2.db"}) as host:
        await host.get_database("two").execute_write("create table pages (number integer)")

        assert host.get_database().name == "one"
        assert host.get_database("two").path == str(tmp_path / "2.db")
        assert (await host.get_database("two").execute("select count(*) from pages")).single_value() == 0


@pytest.mark.anyio
async def test_internal_database_always_exists(telemetry: Telemetry) -> None:
    """A host without a file for its internal database has it in memory."""
    async with telemetry.host() as host:
        internal = host.get_internal_database()
        await internal.execute_write("create table kept (value text)")

        assert internal is host.get_database("_internal")
        assert internal.path == ":memory:"


def test_internal_database_may_have_a_file(telemetry: Telemetry, tmp_path: Path) -> None:
    """`get_database()` without a name never returns the internal database."""
    with telemetry.host(databases={"_internal": tmp_path / "internal.db"}) as host:
        assert host.get_internal_database().path == str(tmp_path / "internal.db")
        with pytest.raises(DatabaseNotFound):
            host.get_database()


def test_tokens_may_be_in_the_internal_database(telemetry: Telemetry, tmp_path: Path) -> None:
    """Tokens need no file of their own, and are there after a restart."""
    settings = Settings(secret=(SECRET,), token_handlers=("database",))
    databases = {"_internal": tmp_path / "internal.db"}
    with telemetry.host(settings=settings, databases=databases) as host:
        token = host.call(host.create_token, "alice")
    with telemetry.host(settings=settings, databases=databases) as host:
        actor = host.verify(token)

    assert actor is not None
    assert actor["id"] == "alice"


def test_unknown_database_is_an_error_that_shows_the_fix(telemetry: Telemetry) -> None:
    """The message has the name, the known names, and the argument to pass."""
    with telemetry.host(databases={"one": ":memory:"}) as host, pytest.raises(DatabaseNotFound) as caught:
        host.get_database("two")

    assert isinstance(caught.value, KeyError)
    assert caught.value.name == "two"
    assert str(caught.value) == (
        "the host has no database 'two' (it has: one); add it: Host(databases={'two': 'path/to/file.db'})"
    )


def test_host_without_databases_reports_that_it_has_none(telemetry: Telemetry) -> None:
    """The message shows how to add one."""
    with telemetry.host() as host, pytest.raises(DatabaseNotFound, match=r"it has: none.*'data': 'path/to/file.db'"):
        host.get_database()


def test_plugin_config_replaces_env_and_file_at_any_depth(
    telemetry: Telemetry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that is not set becomes `None`, as in Datasette."""
    (tmp_path / "key").write_text("from a file")
    monkeypatch.setenv("TEST_API_KEY", "from the environment")
    monkeypatch.delenv("TEST_NOT_THERE", raising=False)
    config = {
        "forum": {
            "env": {"$env": "TEST_API_KEY"},
            "missing": {"$env": "TEST_NOT_THERE"},
            "deep": [{"file": {"$file": str(tmp_path / "key")}}],
            "plain": 1,
            "both": {"$env": "TEST_API_KEY", "more": True},
        }
    }

    with telemetry.host(settings=Settings(plugin_config=config)) as host:
        assert host.plugin_config("forum") == {
            "env": "from the environment",
            "missing": None,
            "deep": [{"file": "from a file"}],
            "plain": 1,
            "both": {"$env": "TEST_API_KEY", "more": True},
        }
        assert host.plugin_config("unknown") is None


def test_plugin_config_by_table_is_that_of_the_plugin_unless_fallback_is_false(telemetry: Telemetry) -> None:
    """A host has no configuration by database or table: `plugin_config` falls back to that of the plugin."""
    with telemetry.host(settings=Settings(plugin_config={"forum": {"a": 1}})) as host:
        assert host.plugin_config("forum", database="one", table="pages") == {"a": 1}
        assert host.plugin_config("forum", database="one", fallback=False) is None
        assert host.plugin_config("forum", table="pages", fallback=False) is None
        assert host.plugin_config("forum", fallback=False) == {"a": 1}


def test_setting_returns_the_settings_that_a_host_has(telemetry: Telemetry) -> None:
    """Settings have Datasette's names and values. Any other setting is `None`."""
    with telemetry.host(settings=Settings(allow_signed_tokens=False, token_ttl=60)) as host:
        assert host.setting("allow_signed_tokens") is False
        assert host.setting("max_signed_tokens_ttl") == 60
        assert host.setting("default_page_size") is None
    with telemetry.host() as host:
        assert host.setting("max_signed_tokens_ttl") == 0


def test_signed_value_is_accepted_in_its_namespace_only(telemetry: Telemetry) -> None:
    """A value that was signed for one purpose is rejected for another."""
    with telemetry.host() as host:
        signed = host.sign({"a": [1, "é"]}, "cookies")

        assert host.unsign(signed, "cookies") == {"a": [1, "é"]}
        with pytest.raises(itsdangerous.BadSignature):
            host.unsign(signed)


def test_newest_secret_signs_and_older_secrets_verify() -> None:
    """Only secrets that are still in the setting verify a signature."""
    old, rotated, new = (Host(Settings(secret=secret)) for secret in (("old",), ("new", "old"), ("new",)))

    signed_before, signed_after = old.sign("value"), rotated.sign("value")

    assert rotated.unsign(signed_before) == "value"
    assert new.unsign(signed_after) == "value"
    for host, signed in ((old, signed_after), (new, signed_before)):
        with pytest.raises(itsdangerous.BadSignature):
            host.unsign(signed)


# Life cycle


def test_no_thread_runs_before_it_is_needed(telemetry: Telemetry) -> None:
    """An async program whose hooks are all sync needs none."""

    async def program():
        host = telemetry.host(Reader())
        await host.invoke_startup()
        host.track(PageEvent(1))
        await host.track_event(PageEvent(2))
        assert heliograph_threads() == []

    asyncio.run(program())


@pytest.mark.parametrize("settings", [{"signals": "log"}, Settings])
def test_settings_of_another_type_are_an_error(settings: object) -> None:
    """A dict of settings, or the class, is reported where it is given."""
    with pytest.raises(TypeError, match="settings must be an object of Settings"):
        Host(settings)  # type: ignore[arg-type]


def test_call_returns_the_result_of_an_async_function(telemetry: Telemetry) -> None:
    """The function runs in a copy of the caller's context, and its exception is raised."""

    async def greet(name: str, *, mark: str) -> str:
        if not name:
            raise LookupError("nobody")
        return f"{name}{mark} {request_id.get()}"

    with telemetry.host() as host:
        request_id.set("mine")

        assert host.call(greet, "cleverbot", mark="!") == "cleverbot! mine"
        with pytest.raises(LookupError, match="nobody"):
            host.call(greet, "", mark="!")


class StartedLate(Reader):
    """Records in a list that its startup hook ran, and the page numbers."""

    def __init__(self, started):
        super().__init__()
        self._started = started

    @hookimpl
    def startup(self, datasette):
        self._started.append("late")


def test_plugin_that_is_registered_after_startup_takes_part_at_once(telemetry: Telemetry) -> None:
    """A late plugin has its events registered, and its hooks called for the next event. Of the startup hooks, only its own runs."""
    started = []

    class First:
        @hookimpl
        def startup(self, datasette):
            started.append("first")

    late = StartedLate(started)
    with telemetry.host(First()) as host:
        host.register(late)
        host.track(PageEvent(1))

    assert started == ["first", "late"]
    assert late.numbers == [1]


def test_plugin_that_a_startup_hook_registers_is_started_too(telemetry: Telemetry) -> None:
    """The new plugin has its events registered and its own startup hook called, in the same startup."""
    started = []

    late = StartedLate(started)

    class First:
        @hookimpl
        def startup(self, datasette):
            started.append("first")
            datasette.register(late)

    with telemetry.host(First()) as host:
        host.track(PageEvent(1))

    assert started == ["first", "late"]
    assert late.numbers == [1]


def test_startup_hook_of_a_plugin_that_a_startup_hook_registers_may_be_async(telemetry: Telemetry) -> None:
    """The async hook has ended before the first event is emitted."""
    started = []

    class Late(Reader):
        @hookimpl
        def startup(self, datasette):
            async def inner() -> None:
                await asyncio.sleep(0)
                started.append("late")

            return inner

    class First:
        @hookimpl
        def startup(self, datasette):
            datasette.register(Late())

    with telemetry.host(First()) as host:
        host.track(PageEvent(1))

    assert started == ["late"]


def test_startup_hook_may_return_anything(telemetry: Telemetry) -> None:
    """A value that cannot be awaited is ignored, as in Datasette."""

    class Counting(Reader):
        @hookimpl
        def startup(self, datasette):
            return 5

    plugin = Counting()
    with telemetry.host(plugin) as host:
        host.track(PageEvent(1))

    assert plugin.numbers == [1]


@pytest.mark.anyio
async def test_events_are_ignored_while_the_interpreter_ends(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The modules that telemetry needs are being taken down. No hook is called."""
    reader = Reader()
    with telemetry.host(reader) as host:
        monkeypatch.setattr(Host, "_is_ending", staticmethod(lambda: True))
        host.track(PageEvent(1))
        await host.track_event(PageEvent(2))
        await host._track_in_threads(PageEvent(3))

    assert telemetry.events == []
    assert reader.numbers == []


def test_replay_starts_the_host(telemetry: Telemetry) -> None:
    """The class that reads the event is registered by then. No hook is called."""
    reader = Reader()
    record = replace(RECORD, event_name="app.page", version=None, properties={"number": 1}, violations=())
    host = telemetry.host(reader)
    host.replay(record)
    host.replay(record)  # it has started now

    assert host.shutdown()
    assert [name for name, _ in telemetry.events] == ["app.page", "app.page"]
    assert reader.numbers == []


def test_host_works_without_providers(tmp_path: Path) -> None:
    """A program that sets no provider lacks only telemetry. One warning for each signal reports it."""
    program = tmp_path / "program.py"
    program.write_text(
        """
from dataclasses import dataclass
from heliograph import Event, Host, Settings, hookimpl

@dataclass
class PageEvent(Event):
    name = "page"
    number: int

class Pages:
    @hookimpl
    def register_events(self):
        return [PageEvent]

    @hookimpl
    def track_event(self, event):
        async def show():
            print(event.name)
        return show

with Host(Settings(secret=("s",)), plugins=[Pages()]) as host:
    host.track(PageEvent(1))
    print(host.call(host.verify_token, host.call(host.create_token, "root"))["id"])
    assert host.flush()
"""
    )

    ended = subprocess.run(
        [sys.executable, "-W", "error", program],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )

    assert ended.returncode == 0, ended.stderr
    warned = [line.partition(" is set")[0] for line in ended.stderr.splitlines()]
    assert warned == ["heliograph: No LoggerProvider", "heliograph: No TracerProvider"]
    assert sorted(ended.stdout.split()) == ["page", "root", "token-created"]


def test_hosts_with_one_secret_verify_each_others_signatures(telemetry: Telemetry) -> None:
    """Hosts with the same secret accept each other's signatures, in one process or in several."""
    with telemetry.host() as host:
        assert Host(Settings(secret=(SECRET,))).unsign(host.sign("value")) == "value"
