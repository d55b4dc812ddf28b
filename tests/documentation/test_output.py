"""The output that a page shows is compared with that of the run."""

from __future__ import annotations

import pytest

from documentation.output import Expectations


@pytest.mark.parametrize(
    ("documented", "printed"),
    [
        (["12:00:00.000  app.ban_user  root"], "09:41:07.123  app.ban_user      root\n"),
        (["created 2026-11-27T12:00:00+00:00"], "created 2027-01-02T03:04:05+00:00\n"),
        (["trace 0af7651916cd43dd8448eb211c80319c"], "trace 6e0c63257de34c92bf9efcd03927272e"),
        (["first", "…", "last"], "first\na\nb\nlast\n"),
        (["first", "…", "last"], "first\nlast\n"),
        (["…", "3 passed in …"], "...\n3 passed in 0.05s\n"),
        (["size … bytes"], "size 12 bytes"),
    ],
)
def test_what_differs_from_run_to_run_fits(documented: list[str], printed: str) -> None:
    Expectations().assert_printed(documented, printed)


@pytest.mark.parametrize(
    ("documented", "printed"),
    [
        (["app.ban_user"], "app.ban_user\nmore"),
        (["app.ban_user", "more"], "app.ban_user"),
        (["3 passed"], "2 passed"),
        (["a.b"], "a_b"),
    ],
)
def test_everything_else_must_be_equal(documented: list[str], printed: str) -> None:
    with pytest.raises(AssertionError, match="The command has printed"):
        Expectations().assert_printed(documented, printed)


def test_tokens_and_ids_of_the_run_take_the_places_of_those_of_the_page() -> None:
    expectations = Expectations()
    expectations.replace("4318", "50123")
    expectations.assert_printed(["hgtok_3JmZk0sR8fQa…"], "hgtok_abcdefghijklSECRET")
    expectations.assert_printed(["dstok_eyJhIjoi.x"], "dstok_eyJoZWxs.b-c")

    assert expectations.to_actual("rotate 3JmZk0sR8fQa") == "rotate abcdefghijkl"
    assert (
        expectations.to_actual("TOKEN=dstok_eyJhIjoi.x at localhost:4318")
        == "TOKEN=dstok_eyJoZWxs.b-c at localhost:50123"
    )
    with pytest.raises(AssertionError):
        expectations.assert_printed(["3JmZk0sR8fQa  active"], "zzzzzzzzzzzz  active")


def test_lines_of_a_server_come_in_any_order() -> None:
    expectations = Expectations()

    assert expectations.are_in(["b  1", "a"], "a\nb 1\nc\n")
    assert not expectations.are_in(["a", "d"], "a\nb\n")
