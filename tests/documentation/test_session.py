"""A session fails if a server of a page prints a traceback, also at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from documentation.blocks import blocks_of
from documentation.session import Session

PAGE = """```python
# manage.py
import signal

print("Quit the server with CONTROL-C.", flush=True)
try:
    signal.pause()
except KeyboardInterrupt:
    END
```

```console
$ python manage.py runserver
```
"""
RESTART = """
```console
$ python manage.py runserver
^C
```
"""


def run_page(folder: Path, text: str) -> None:
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    with Session(folder) as session:
        session.run(blocks_of(page))


@pytest.mark.parametrize("after", ["", RESTART], ids=["at the end of the page", "where the page ends it"])
def test_traceback_at_the_end_of_a_server(after: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run_page(tmp_path, PAGE.replace("END", "1 / 0") + after)


def test_server_that_ends_without_a_traceback(tmp_path: Path) -> None:
    run_page(tmp_path, PAGE.replace("END", "print('ended')") + RESTART)
