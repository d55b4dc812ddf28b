"""Kombu's broker of files, in which a message is complete as soon as its file is there: `celery_loader` puts it in place.

Kombu creates the file and then writes it, and a worker that reads it in between ends.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    """A channel that writes a message into a file of another name, and renames it."""

    def _put(self, queue: str, payload: Any, **_: Any) -> None:
        folder = Path(self.data_folder_out)
        unfinished = folder / f"unfinished-{uuid.uuid4()}"
        unfinished.write_text(dumps(payload))
        unfinished.rename(folder / f"{time.monotonic_ns() // 1_000_000}_{uuid.uuid4()}.{queue}.msg")


class Transport(filesystem.Transport):
    """The broker."""

    Channel = Channel
