"""The damage that the reader of a journal has found: damaged records are counted, each once, and damaged bytes are saved.

Threads: the one that reads. Others may read the two numbers.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from heliograph.delivery.trust import create_folder, open_file
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE

DAMAGED: Final = "damaged"
"""The name of the folder that damaged bytes are saved to, inside the folder of the journal."""

logger: Final = SafeLogger(SCOPE)


class Damage:
    """The damage in one folder.

    Args:
        folder: The folder.
        read_only: True if no file may be changed. Then bytes are only counted.

    Attributes:
        records: The number of damaged records.
        size_bytes: The number of damaged bytes.
    """

    def __init__(self, folder: Path, *, read_only: bool) -> None:
        self.records = 0
        self.size_bytes = 0
        self._folder = folder
        self._read_only = read_only
        # Records below this sequence are not counted again after a rewind.
        self._counted_before = 0
        self._reported = 0

    def count(self, first: int, before: int) -> None:
        """Count the records from one sequence up to another, without those that were counted already."""
        self.records += max(0, before - max(first, self._counted_before))
        self._counted_before = max(self._counted_before, before)

    def take(self) -> int:
        """Return the number of records that were counted since the last call."""
        reported, self._reported = self._reported, self.records
        return self.records - reported

    def save(self, path: Path, offset: int, data: bytes) -> None:
        """Count damaged bytes, and save them to a file that is named after their segment and position."""
        data = data.rstrip(b"\0")
        self.size_bytes += len(data)
        if self._read_only:
            return
        try:
            folder = self._folder / DAMAGED
            create_folder(folder, self._folder.parent)
            target = folder / f"{path.stem}-{offset}.bin"
            with os.fdopen(open_file(target, os.O_WRONLY | os.O_CREAT, self._folder.parent), "wb") as file:
                file.truncate(0)
                file.write(data)
        except OSError as error:
            # The bytes are lost, but they were counted above.
            # Not `exception`: a traceback would add nothing.
            logger.error("Damaged bytes of %s could not be set aside: %s", path, error)  # noqa: TRY400
