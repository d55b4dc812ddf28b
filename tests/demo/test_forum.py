"""The forum of the demo is printed as it is written."""

from __future__ import annotations

from inspect import getsource, isclass, isfunction

from heliograph.demo import forum
from heliograph.demo.columns import LEFT
from heliograph.demo.source import source_of


def test_every_line_fits_into_its_column() -> None:
    """The lines of its classes and functions are short, so nothing beside them moves."""
    objects = [each for each in vars(forum).values() if isclass(each) or isfunction(each)]
    shown = [each for each in objects if each.__module__ == forum.__name__]

    assert {line for each in shown for line in getsource(each).splitlines() if len(line) > LEFT} == set()
    assert set(forum.EVENTS) <= set(shown)


def test_source_is_read_from_the_file() -> None:
    """Two functions are separated by an empty line, and a nested one begins at the left."""

    def nested() -> None:
        """Do nothing."""

    assert source_of(forum.import_posts, nested) == [
        "def import_posts(host: Host, number: int) -> None:",
        '    """Import posts while the server is down."""',
        "    for post_id in range(number):",
        "        host.track(ImportPost(post_id=post_id))",
        "",
        "def nested() -> None:",
        '    """Do nothing."""',
    ]
