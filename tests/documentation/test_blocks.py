"""The blocks of a page are found, with their files, commands and reasons."""

from __future__ import annotations

from pathlib import Path

from documentation.blocks import blocks_of, commands_of

PAGE = """# Title

```python
# shop/events.py
x = 1
```

```python
# shop/events.py, continued
y = 2
```

Start it.

<!-- Not run in the tests: it needs
Docker. -->

```console
$ docker compose up
```

## Section

1. A step:

   ```console
   $ one \\
       two
   printed

   more
   $ three
   ```
"""


def test_blocks_of_a_page(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(PAGE, encoding="utf-8")
    first, second, docker, step = blocks_of(tmp_path / "page.md")

    assert [(each.file, each.continues) for each in (first, second)] == [
        ("shop/events.py", False),
        ("shop/events.py", True),
    ]
    assert PAGE.splitlines()[first.line] == "# shop/events.py"
    assert docker.not_run == "it needs\nDocker"
    assert (step.not_run, step.heading, step.file) == (None, "Section", None)
    assert commands_of(step) == [("one \\\n    two", ["printed", "", "more"]), ("three", [])]
