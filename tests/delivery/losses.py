"""Ways in which an outbox, or a folder or file in it, goes away or becomes untrusted while a program uses it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from delivery.outboxes import folders_in


def delete(box: Path) -> None:
    shutil.rmtree(box)


def delete_and_create(box: Path) -> None:
    shutil.rmtree(box)
    box.mkdir(mode=0o700)


def delete_content(box: Path) -> None:
    for each in box.iterdir():
        # The worker deletes a folder without a lock file, which this one is for a moment.
        shutil.rmtree(each, ignore_errors=True)


def rename(box: Path) -> None:
    box.rename(box.with_name("elsewhere"))


def replace_by_a_file(box: Path) -> None:
    shutil.rmtree(box)
    box.touch()


def replace_by_a_copy(box: Path) -> None:
    copy = box.with_name("copy")
    # A folder that is just being created or deleted has a hidden name, and may be gone before it is copied.
    shutil.copytree(box, copy, ignore=shutil.ignore_patterns(".*"))
    shutil.rmtree(box)
    copy.rename(box)


def replace_the_folder_by_a_link(box: Path) -> None:
    [folder] = folders_in(box)
    folder.rename(box.with_name("elsewhere"))
    folder.symlink_to(box.with_name("elsewhere"))


def replace_the_lock_by_a_pipe(box: Path) -> None:
    [folder] = folders_in(box)
    pipe = box.with_name("pipe")
    os.mkfifo(pipe)
    # In one step: a folder whose lock file is missing for a moment may be given up, for the next process that looks.
    pipe.rename(folder / "lock")


def link_segments(box: Path) -> None:
    for segment in box.glob("*/*.journal"):
        os.link(segment, box.with_name(segment.name))


def make_segments_writable_for_others(box: Path) -> None:
    for segment in box.glob("*/*.journal"):
        segment.chmod(0o666)


def make_the_folder_writable_for_others(box: Path) -> None:
    [folder] = folders_in(box)
    folder.chmod(0o777)


LOSSES: Final[dict[str, Callable[[Path], None]]] = {
    "the outbox is deleted": delete,
    "the outbox is deleted and created": delete_and_create,
    "the content of the outbox is deleted": delete_content,
    "the outbox is renamed": rename,
    "a file is in the place of the outbox": replace_by_a_file,
    "a copy is in the place of the outbox": replace_by_a_copy,
    "a link is in the place of a folder": replace_the_folder_by_a_link,
    "a pipe is in the place of a lock": replace_the_lock_by_a_pipe,
    "segments have a second name": link_segments,
    "others may write to segments": make_segments_writable_for_others,
    "others may write to a folder": make_the_folder_writable_for_others,
}
"""Each does it to the outbox with one folder, by the name of the fault."""
