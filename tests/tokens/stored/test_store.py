"""The tables are created once, by whichever process comes first, and updated by later versions."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from heliograph import TokenRestrictions
from heliograph.tokens import restrict
from heliograph.tokens.stored import store
from threads import join
from tokens.stored.rig import TokenHost


def test_tables_are_created_once(tmp_path: Path) -> None:
    """Hosts that start at the same moment do not disturb each other."""
    hosts = [TokenHost(tmp_path / "tokens.db") for _ in range(4)]
    problems: list[BaseException] = []

    def work(host: TokenHost) -> None:
        try:
            asyncio.run(host.handler.store.prepare())
            asyncio.run(host.handler.store.prepare())
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(host,)) for host in hosts]
    for thread in threads:
        thread.start()
    join(*threads)
    for host in hosts:
        host.shutdown()

    assert problems == []
    with closing(sqlite3.connect(tmp_path / "tokens.db")) as connection:
        assert connection.execute("select number from heliograph_token_migrations").fetchall() == [(0,)]
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)


def test_file_that_stays_locked_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal cannot be switched while another connection reads, and can as soon as that has ended."""
    monkeypatch.setattr(store, "LOCK_TIMEOUT_MILLIS", 50.0)
    with closing(sqlite3.connect(tmp_path / "tokens.db", isolation_level=None)) as other:
        other.execute("create table t (a)")
        other.execute("begin")
        other.execute("select * from t").fetchall()
        with TokenHost(tmp_path / "tokens.db") as host:
            monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, timeout=0.0))
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                host.run(host.handler.store.prepare())
            other.execute("rollback")
            host.run(host.handler.store.prepare())


def test_later_version_updates_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tokens stay, and each step is carried out once."""
    with TokenHost(tmp_path / "tokens.db") as host:
        token = host.run(host.create_token("alice"))
    monkeypatch.setattr(store, "MIGRATIONS", (*store.MIGRATIONS, "alter table heliograph_tokens add column note text"))
    for _ in range(2):
        with TokenHost(tmp_path / "tokens.db") as host:
            assert host.run(host.verify_token(token)) is not None

    with closing(sqlite3.connect(tmp_path / "tokens.db")) as connection:
        assert connection.execute("select note from heliograph_tokens").fetchall() == [(None,)]


def test_restrictions_that_changed_meanwhile_stay(tmp_path: Path) -> None:
    """The write returns False, and the caller reads the restrictions again."""
    with TokenHost(tmp_path / "tokens.db") as host:
        token_id = host.run(host.create_token("alice"))[6:18]
        tokens = host.handler.store

        assert host.run(tokens.restrict(token_id, None, {"a": ["vi"]}))
        assert not host.run(tokens.restrict(token_id, None, {"a": ["ir"]}))
        assert not host.run(tokens.restrict("unknown", None, {"a": ["ir"]}))
        assert host.run(tokens.get(token_id)).restrictions == {"a": ["vi"]}


def test_restrictions_that_another_program_wrote_can_be_narrowed(tmp_path: Path) -> None:
    """The JSON of another program may have other spaces, and another order of the keys."""
    with TokenHost(tmp_path / "tokens.db") as host:
        token_id = host.run(host.create_token("alice"))[6:18]
        with closing(sqlite3.connect(tmp_path / "tokens.db")) as other, other:
            other.execute("update heliograph_tokens set restrictions = ?", ['{"r":{},"a":["vi","vt"]}'])

        host.run(restrict(host, token_id, TokenRestrictions().allow_all("view-table")))
        assert host.run(host.handler.store.get(token_id)).restrictions == {"a": ["vt"]}


def test_tables_that_are_gone_are_an_error_and_are_not_created_again(tmp_path: Path) -> None:
    """The tokens in the tables are lost, which an empty table would hide."""
    with TokenHost(tmp_path / "tokens.db") as host:
        host.run(host.create_token("alice"))
        with closing(sqlite3.connect(tmp_path / "tokens.db")) as other, other:
            other.execute("drop table heliograph_token_secrets")

        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            host.run(host.handler.store.find(b"hash"))
