"""Each sentence of the README has its evidence: a test, the run of its blocks, or a link."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parent.parent
DATASETTE: Final = "tests/integrations/datasette"

BLOCKS: Final = "tests/documentation/test_pages.py::test_blocks_run_as_they_are_printed"
LINKS: Final = "tests/test_links.py::test_every_link_is_good"
FIRST_EVENT: Final = "tests/test_readme.py::test_the_first_event_is_seen_as_described"

EVIDENCE: Final = {
    "heliograph makes what happens": (
        "tests/integration/test_datasette_to_jaeger.py::test_each_write_is_one_trace_with_its_token_and_its_event",
    ),
    "It is a plugin of": (f"{DATASETTE}/test_processes.py::test_plugin_of_the_examples_runs_unchanged",),
    "![The output of heliograph demo]": ("tests/cli/test_demo.py::test_the_picture_of_the_readme_is_true",),
    "It is not in a package index yet.": (),
    "Begin in a clone": ("tests/test_readme_sentences.py::test_oldest_python_is_that_of_the_readme",),
    "The last line also installs": (
        f"{DATASETTE}/test_supported_version.py::test_extra_installs_a_supported_version",
        f"{DATASETTE}/test_supported_version.py::test_documentation_installs_a_supported_version",
    ),
    "To look around first,": ("tests/test_readme_sentences.py::test_targets_of_make_exist",),
    "It shows an event, a masked field,": (
        "tests/cli/test_demo.py::test_everything_arrives",
        "tests/cli/test_demo.py::test_code_is_beside_what_arrived",
    ),
    "`make test` runs the tests.": ("tests/test_readme_sentences.py::test_targets_of_make_exist",),
    "In any folder, write": (BLOCKS,),
    "See it without any server.": (BLOCKS,),
    "In one terminal, start": (BLOCKS, "tests/cli/test_tail.py::test_events_of_a_program_are_printed"),
    "(In each new terminal,": (),
    "Leave it running,": (BLOCKS,),
    "The variable names": (FIRST_EVENT,),
    "The first terminal then shows:": (BLOCKS,),
    "The event has the name": (
        FIRST_EVENT,
        "tests/telemetry/test_trace_emitter.py::test_event_inside_a_span_is_also_a_span_event",
    ),
    "`OTEL_LOGS_EXPORTER=console`": (
        "tests/test_readme.py::test_the_first_event_is_printed_by_the_exporter_for_the_console",
    ),
    "If no server receives it,": (
        "tests/sdk/test_provider_use.py::test_script_says_how_much_was_not_delivered_and_to_which_endpoint",
    ),
    "Set `OTEL_EXPORTER_OTLP_ENDPOINT`": (FIRST_EVENT,),
    "With `heliograph tail` still running,": (BLOCKS,),
    "The plugin exports nothing until": (f"{DATASETTE}/test_processes.py::test_dormant_without_otel_variables",),
    "In a third terminal,": (BLOCKS,),
    "The first terminal now shows": (BLOCKS,),
    "That is all:": (
        f"{DATASETTE}/test_events.py::test_core_event",
        f"{DATASETTE}/test_tokens.py::test_datasettes_own_handler_is_recorded",
        "tests/test_readme.py::test_datasette_exports_its_spans_if_an_endpoint_is_set",
    ),
    "Settings may be in": ("tests/test_readme.py::test_the_configuration_for_datasette_is_accepted",),
    "`/-/heliograph` shows": (
        f"{DATASETTE}/page/test_report.py::test_each_signal_has_an_owner",
        f"{DATASETTE}/page/test_report.py::test_failures_have_no_values",
        f"{DATASETTE}/page/test_report.py::test_process_and_events_are_named",
    ),
    "[The tutorial]": (LINKS,),
    "This is a signed token.": ("tests/test_readme.py::test_tokens_are_used_as_printed",),
    "It begins with `dstok_`,": (
        "tests/test_readme.py::test_tokens_are_used_as_printed",
        "tests/tokens/test_signed.py::test_datasette_accepts_a_token_of_a_host",
    ),
    "Tokens that are kept in a database": (BLOCKS,),
    "They can be listed,": ("tests/test_docs.py::test_functions_of_the_page_on_tokens_do_what_it_says",),
    "A program that searches files": (
        f"{DATASETTE}/test_token_capabilities.py::test_prefix_and_checksum_are_refused_offline",
    ),
    "No token, and no usable part of one,": (
        f"{DATASETTE}/test_tokens.py::test_no_part_of_a_token_is_exported",
        "tests/integration/test_datasette_to_jaeger.py::test_no_part_of_a_token_arrived",
    ),
    "[API](docs/reference/api.md)": (LINKS,),
}
"""The beginning of each sentence, and its tests. Without any, it says something about the reader's shell, a package index or these tests."""


def sentences() -> Iterator[str]:
    """Yield each sentence outside of the blocks of code, the headings and the table."""
    tokens = MarkdownIt().enable("table").parse((ROOT / "README.md").read_text(encoding="utf-8"))
    for before, token in itertools.pairwise(tokens):
        if token.type == "inline" and before.type == "paragraph_open":
            yield from re.split(r"(?<=[.:])\s+(?=[A-Z`\[(*])", " ".join(token.content.split()))


def test_each_sentence_has_its_evidence() -> None:
    """A new or changed sentence needs a line in the table, and a line whose sentence is gone is removed."""
    found = [[begin for begin in EVIDENCE if sentence.startswith(begin)] for sentence in sentences()]

    assert [sentence for sentence, begins in zip(sentences(), found) if not begins] == []
    assert {begin for begins in found for begin in begins} == EVIDENCE.keys()


@pytest.mark.parametrize("test", sorted({test for tests in EVIDENCE.values() for test in tests}))
def test_evidence_exists(test: str) -> None:
    path, _, name = test.partition("::")
    assert re.search(rf"(?m)^(?:async )?def {name}\(", (ROOT / path).read_text(encoding="utf-8"))


def test_oldest_python_is_that_of_the_readme() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'requires-python = ">=3.10"' in project
    assert "with Python 3.10 or later" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_targets_of_make_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = re.findall(r"`make ([a-z-]+)`", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert named
    assert [target for target in named if not re.search(rf"(?m)^{target}:", makefile)] == []
