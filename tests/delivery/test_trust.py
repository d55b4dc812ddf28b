"""Entries of an outbox that somebody else may have prepared are reported, and never read, changed or deleted."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from delivery.ended_spans import ended
from delivery.outboxes import folders_in, logging_to, make_orphan, wait_for
from delivery.prepared import (
    FILES,
    FOLDERS,
    SEGMENT,
    SOMEBODY,
    content_below,
    file_in_place_of_a_folder,
    folder_that_others_may_change,
    hard_linked_segment,
    link_to_folder,
    needs_root,
    planted,
)
from delivery.servers import serving
from delivery.spans import make_orphan_of_spans, span_id, tracing_to
from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.journal.segment import segments
from heliograph.delivery.outbox.dead_letters import DeadLetters
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.signals import LOGS
from heliograph.delivery.trust import (
    UntrustedPathError,
    check_file,
    check_folder,
    create_folder,
    delete_file,
    delete_folder,
    move,
    open_file,
    passes,
    untrusted_reason,
)
from heliograph.errors import OutboxError


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """An outbox in which the records `before` and `behind` wait, in folders whose names come first and last."""
    directory = tmp_path / "box"
    make_orphan(directory, "before").rename(directory / "1-00000000")
    make_orphan(directory, "behind").rename(directory / "999999999-ffffffff")
    return directory


def test_entry_that_is_gone_does_not_pass_and_has_no_reason(tmp_path: Path) -> None:
    """Another process may delete an entry at any moment. A prepared one has a reason, for people."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    paths = [tmp_path / name for name in ("folder", "link", "gone")]

    assert [passes(check_folder, path) for path in paths] == [True, False, False]
    assert [reason and reason.path for reason in (untrusted_reason(path, check_folder) for path in paths)] == [
        None,
        tmp_path / "link",
        None,
    ]


@pytest.mark.parametrize("prepare", FOLDERS)
def test_prepared_folders_are_passed_over(
    box: Path, tmp_path: Path, prepare: Callable[[Path, Path], Path], caplog: pytest.LogCaptureFixture
) -> None:
    """A folder that somebody else prepared is reported once and left unchanged. The other folders are sent."""
    entry = prepare(box, tmp_path)
    before = content_below(tmp_path / "elsewhere"), content_below(entry)
    with serving() as server, logging_to(box, server.endpoint) as emit:
        wait_for(lambda: sorted(server.accepted) == ["before", "behind"])
        wait_for(lambda: not emit.processor._worker.orphans)
        emit.processor._worker._outbox.lock_orphans(LOGS)
        emit.processor.shutdown()

    assert (content_below(tmp_path / "elsewhere"), content_below(entry)) == before
    assert caplog.text.count("passed over") == 1
    assert sorted(server.accepted) == ["before", "behind"]


@pytest.mark.parametrize("prepare", FILES)
def test_prepared_files_are_passed_over(
    box: Path, tmp_path: Path, prepare: Callable[[Path, Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """The folder's own records are sent once, and those of the other folders."""
    folder = box / "1-00000000"
    prepare(folder, tmp_path)
    before = content_below(tmp_path / "elsewhere")
    for _ in range(2):
        with serving() as server, logging_to(box, server.endpoint) as emit:
            wait_for(lambda: "cannot be deleted" in caplog.text)
            wait_for(lambda: not emit.processor._worker.orphans and not emit.processor._worker._may_have_more_orphans)
        assert sorted(server.accepted) in (["before", "behind"], [])
        caplog.clear()

    assert server.accepted == []
    assert content_below(tmp_path / "elsewhere") == before
    assert folders_in(box) == [folder]
    assert OutboxDirectory(box, max_bytes=1).untrusted_paths()


def link_to_spans(folder: Path, entry: Path) -> None:
    entry.symlink_to(folder)


def spans_that_others_may_change(folder: Path, entry: Path) -> None:
    folder.rename(entry).chmod(0o777)


def spans_of_somebody(folder: Path, entry: Path) -> None:
    os.chown(folder.rename(entry), SOMEBODY, SOMEBODY)


def linked_lock_of_spans(folder: Path, entry: Path) -> None:
    make_orphan_of_spans(entry.parent, ended(name="planted")).rename(entry)
    (entry / "lock").unlink()
    (entry / "lock").symlink_to(folder / "lock")


@pytest.mark.parametrize(
    "prepare",
    [
        link_to_spans,
        spans_that_others_may_change,
        pytest.param(spans_of_somebody, marks=needs_root),
        linked_lock_of_spans,
    ],
)
def test_prepared_folders_of_spans_are_passed_over(
    tmp_path: Path, prepare: Callable[[Path, Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """The names of folders of spans have another form, and such folders are as safe. The other folders are sent."""
    box, own = tmp_path / "box", ended(name="own")
    make_orphan_of_spans(box, own)
    entry = box / "5-abcdef01.traces"
    prepare(make_orphan_of_spans(tmp_path / "elsewhere", ended(name="planted")), entry)
    before = content_below(tmp_path / "elsewhere"), content_below(entry)
    with serving() as server, tracing_to(box, server.traces_endpoint) as trace:
        wait_for(lambda: bool(server.accepted))
        wait_for(lambda: not trace.processor._worker.orphans)
        trace.processor.shutdown()

    assert (content_below(tmp_path / "elsewhere"), content_below(entry)) == before
    assert caplog.text.count("passed over") == 1
    assert server.accepted == [span_id(own)]


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_prepared_segment_of_spans_is_passed_over(
    tmp_path: Path, link: Callable[[Path, Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """The spans of the folder itself are sent once."""
    box, own = tmp_path / "box", ended(name="own")
    folder = make_orphan_of_spans(box, own)
    planted_folder = make_orphan_of_spans(tmp_path / "elsewhere", ended(name="planted"))
    link(planted_folder / SEGMENT, folder / "00000000000000000002.journal")
    before = content_below(tmp_path / "elsewhere")
    with serving() as server, tracing_to(box, server.traces_endpoint) as trace:
        wait_for(lambda: "cannot be deleted" in caplog.text)
        wait_for(lambda: not trace.processor._worker.orphans)

    assert server.accepted == [span_id(own)]
    assert content_below(tmp_path / "elsewhere") == before


@pytest.mark.parametrize("name", ["dead.db", "dead.db-journal", "dead.db-wal"])
def test_prepared_file_of_dead_letters_is_not_used(tmp_path: Path, name: str) -> None:
    """A link that somebody else made is not read, and its target is not written."""
    target = tmp_path / "theirs"
    sqlite3.connect(target).close()
    box = tmp_path / "box"
    box.mkdir()
    (box / name).symlink_to(target)
    letters = DeadLetters(box / "dead.db")

    with pytest.raises(OutboxError, match="not a regular file"):
        letters.count()
    assert not letters.is_sound()
    assert target.read_bytes() == b""


def test_prepared_place_for_damaged_bytes_is_not_used(box: Path, tmp_path: Path) -> None:
    """The bytes stay in the folder, which stays, too."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (box / "damaged").symlink_to(elsewhere)
    folder = box / "1-00000000"
    (folder / "damaged").mkdir()
    (folder / "damaged" / "x.bin").write_bytes(b"x")
    [lock, other] = OutboxDirectory(box, max_bytes=1).lock_orphans(LOGS)
    other.release()

    assert isinstance(lock.delete_folder(), UntrustedPathError)
    assert list(elsewhere.iterdir()) == []
    assert [error.path for error in OutboxDirectory(box, max_bytes=1).untrusted_paths()] == [box / "damaged"]


@pytest.mark.parametrize("name", ["damaged", "damaged/5-abcdef01", "1-00000000/damaged"])
def test_links_to_folders_hold_no_damaged_files(box: Path, tmp_path: Path, name: str) -> None:
    """Else `heliograph outbox damaged delete` would delete what they lead to."""
    elsewhere = planted(tmp_path)
    (elsewhere / "nested").mkdir()
    (elsewhere / "nested" / "file").touch()
    entry = box / name
    entry.parent.mkdir(exist_ok=True)
    entry.symlink_to(elsewhere)
    outbox = OutboxDirectory(box, max_bytes=1)

    assert outbox.damaged_files() == []
    assert [error.path for error in outbox.untrusted_paths()] == [entry]


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_link_to_a_file_is_no_damaged_file(box: Path, tmp_path: Path, link: Callable[[Path, Path], None]) -> None:
    place = box / "damaged" / "5-abcdef01"
    place.mkdir(parents=True)
    link(planted(tmp_path) / "letter.txt", place / "linked")
    (place / "ours").touch()
    outbox = OutboxDirectory(box, max_bytes=1)

    assert outbox.damaged_files() == [place / "ours"]
    assert [error.path for error in outbox.untrusted_paths()] == [place / "linked"]


def test_directory_may_be_a_link_that_is_resolved_once(tmp_path: Path) -> None:
    """A link that points elsewhere later does not move the outbox of a running process."""
    real, other, link = tmp_path / "real", tmp_path / "other", tmp_path / "link"
    real.mkdir()
    other.mkdir()
    link.symlink_to(real)
    with serving(lambda number, records: (503, {}, b"")) as down, logging_to(link, down.endpoint) as emit:
        link.unlink()
        link.symlink_to(other)
        emit("one")
        assert len(folders_in(real)) == 1
        assert list(other.iterdir()) == []


@pytest.mark.parametrize(("mode", "warnings"), [(0o777, 1), (0o1777, 0), (0o2775, 0), (0o700, 0)])
def test_directory_that_anybody_may_change_is_one_warning(
    tmp_path: Path, mode: int, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Volumes of a group are accepted, as are directories with the sticky bit."""
    tmp_path.chmod(mode)
    make_orphan(tmp_path, "one")
    caplog.clear()
    with serving() as server, logging_to(tmp_path, server.endpoint):
        wait_for(lambda: server.accepted == ["one"])

    assert caplog.text.count("sticky bit") == warnings


@needs_root
def test_directory_may_belong_to_anybody(tmp_path: Path) -> None:
    """Root also sends what the owner of the directory has written."""
    folder = make_orphan(tmp_path, "of the owner")
    make_orphan(tmp_path, "of root")
    for path in (tmp_path, folder, *folder.iterdir()):
        os.chown(path, SOMEBODY, SOMEBODY)
    with serving() as server, logging_to(tmp_path, server.endpoint):
        wait_for(lambda: sorted(server.accepted) == ["of root", "of the owner"])


def test_group_may_write(tmp_path: Path) -> None:
    """Folders that a group may write are used, because some volumes set the bit on everything."""
    folder = make_orphan(tmp_path, "one")
    folder.chmod(0o2770)
    for path in folder.iterdir():
        path.chmod(0o660)
    with serving() as server, logging_to(tmp_path, server.endpoint):
        wait_for(lambda: server.accepted == ["one"])
        wait_for(lambda: folders_in(tmp_path) == [])


def test_reports_are_bounded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Anybody may create any number of folders."""
    for number in range(150):
        (tmp_path / f"{number}-00000000").symlink_to(tmp_path)
    box = OutboxDirectory(tmp_path, max_bytes=1)
    for _ in range(2):
        assert box.folders() == []

    assert len(caplog.records) == 100
    assert len(box.untrusted_paths()) == 150


def test_file_that_is_replaced_while_it_is_opened_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is judged again after it was opened."""
    theirs, path = tmp_path / "theirs", tmp_path / "cursor"
    theirs.write_text("mine")
    path.write_text("ours")
    real = os.open

    def replace_and_open(name: str | Path, *arguments: Any, **options: Any) -> int:
        if name == "cursor":
            path.unlink()
            path.hardlink_to(theirs)
        return real(name, *arguments, **options)

    monkeypatch.setattr(os, "open", replace_and_open)
    with pytest.raises(UntrustedPathError, match="2 links"):
        open_file(path, os.O_RDONLY, tmp_path)
    assert theirs.read_text() == "mine"


def test_deleted_file_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is deleted while it is opened has no link, and is no attack."""
    path = tmp_path / "cursor"
    path.write_text("ours")
    real = os.open

    def open_and_delete(name: str | Path, *arguments: Any, **options: Any) -> int:
        descriptor = real(name, *arguments, **options)
        if name == "cursor":
            path.unlink()
        return descriptor

    monkeypatch.setattr(os, "open", open_and_delete)
    with pytest.raises(FileNotFoundError):
        open_file(path, os.O_RDONLY, tmp_path)
    delete_file(path, tmp_path)


def test_errors_name_the_entry_and_the_reason(tmp_path: Path) -> None:
    """A person must find out what to do."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "file").chmod(0o602)
    with pytest.raises(UntrustedPathError, match=r"file is not used: others may write to it"):
        check_file(tmp_path / "file", tmp_path)
    with pytest.raises(UntrustedPathError, match="not a real folder"):
        check_folder(tmp_path / "file")
    with pytest.raises(UntrustedPathError, match="not a regular file"):
        delete_file(tmp_path / "folder", tmp_path)


def test_folder_of_a_file_system_without_owners_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records go to memory then, and the reason is logged."""
    real = Path.mkdir

    def mkdir(path: Path, **options: object) -> None:
        real(path, **options)  # type: ignore[arg-type]
        path.chmod(0o777)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(UntrustedPathError, match="others may write"):
        OutboxDirectory(tmp_path, max_bytes=100).create_folder(LOGS)


def test_segment_that_becomes_untrusted_is_not_deleted(box: Path, tmp_path: Path) -> None:
    """A segment with a second name stays, although its records were acknowledged."""
    folder = box / "1-00000000"
    [(_, path)] = segments(folder)
    (tmp_path / "second name").hardlink_to(path)
    with pytest.raises(UntrustedPathError):
        delete_file(path, box)
    assert path.exists()


def test_prepared_segment_is_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The reader meets the segment again after each rewind."""
    folder = make_orphan(tmp_path / "box", "before")
    hard_linked_segment(folder, tmp_path)
    reader = JournalReader(folder, is_live=False)
    for _ in range(2):
        assert reader.read(max_bytes=2**20, max_records=10) is not None
        assert reader.read(max_bytes=2**20, max_records=10) is None
        reader.rewind()

    assert caplog.text.count("passed over") == 1


def swap(monkeypatch: pytest.MonkeyPatch, folder: Path, elsewhere: Path) -> None:
    """Let somebody put a link in the place of a folder in the moment after it was opened."""
    real = os.open

    def open_and_swap(name: str | Path, *arguments: Any, **options: Any) -> int:
        descriptor = real(name, *arguments, **options)
        if name == folder.name and not folder.is_symlink():
            folder.rename(folder.with_name("moved"))
            folder.symlink_to(elsewhere)
        return descriptor

    monkeypatch.setattr(os, "open", open_and_swap)


def use_a_file(folder: Path, box: Path) -> None:
    os.close(open_file(folder / "letter.txt", os.O_RDWR | os.O_CREAT, box))


def delete_a_file(folder: Path, box: Path) -> None:
    delete_file(folder / "letter.txt", box)


def create_a_folder(folder: Path, box: Path) -> None:
    create_folder(folder / "damaged", box)


def delete_a_folder(folder: Path, box: Path) -> None:
    with pytest.raises(FileNotFoundError):
        delete_folder(folder / "damaged", box)


def move_a_file(folder: Path, box: Path) -> None:
    with contextlib.suppress(FileNotFoundError, UntrustedPathError):
        move(folder / "letter.txt", folder / "cursor", box)


USES = [use_a_file, delete_a_file, create_a_folder, delete_a_folder, move_a_file]


@pytest.mark.parametrize("use", USES)
def test_folder_that_is_swapped_for_a_link_leads_nowhere(
    tmp_path: Path, use: Callable[[Path, Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The swap comes between check and use. Nothing outside of the outbox is read, created, changed or deleted."""
    box, elsewhere = tmp_path / "box", planted(tmp_path)
    folder = box / "1-00000000"
    folder.mkdir(parents=True, mode=0o700)
    before = content_below(elsewhere), sorted(elsewhere.iterdir())
    swap(monkeypatch, folder, elsewhere)
    use(folder, box)

    assert folder.is_symlink()
    assert (content_below(elsewhere), sorted(elsewhere.iterdir())) == before


@pytest.mark.parametrize("use", [use_a_file, delete_a_file, create_a_folder])
@pytest.mark.parametrize("prepare", [link_to_folder, file_in_place_of_a_folder, folder_that_others_may_change])
def test_entry_of_a_prepared_folder_is_not_used(
    tmp_path: Path, prepare: Callable[[Path, Path], Path], use: Callable[[Path, Path], None]
) -> None:
    """Each folder on the way to a file is judged."""
    (tmp_path / "box").mkdir()
    folder = prepare(tmp_path / "box", tmp_path)
    before = content_below(folder)
    with pytest.raises(UntrustedPathError):
        use(folder, tmp_path / "box")
    assert content_below(folder) == before


def test_folder_that_cannot_be_opened_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process with too many open files is not under attack."""
    (tmp_path / "1-00000000").mkdir(mode=0o700)
    real = os.open

    def fail(name: str | Path, *arguments: Any, **options: Any) -> int:
        if name == "1-00000000":
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(name, *arguments, **options)

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(OSError, match="open files") as error:
        open_file(tmp_path / "1-00000000" / "lock", os.O_RDONLY, tmp_path)
    assert not isinstance(error.value, UntrustedPathError)
