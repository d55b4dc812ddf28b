"""Children that end by `os._exit`, without an `atexit` function: what they tracked arrives, with and without an outbox."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from faults.matrix import Row
from otlp_receiver import Receiver
from packages import require
from processes import otlp, program_environment, run
from scripts import PRELUDE

CHILDREN = """
import importlib
from concurrent.futures import ProcessPoolExecutor

host = configure(plugins=[Plugin()])
multiprocessing = importlib.import_module(sys.argv[1])

def work(n):
    host.track(Tick(n=n))

def main(context):
    work(0)
    children = [context.Process(target=work, args=(n,)) for n in range(1, 4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    pool = context.Pool(2, maxtasksperchild=2)
    pool.map(work, range(4, 14))
    pool.close()
    pool.join()
    if sys.argv[1] == "multiprocessing":
        with ProcessPoolExecutor(2, mp_context=context) as executor:
            list(executor.map(work, range(14, 20)))

if __name__ == "__main__":
    main(multiprocessing.get_context(sys.argv[2]))
"""


def numbers(receiver: Receiver) -> list[str]:
    return [str(log.attributes["test.tick.n"]) for log in receiver.logs()]


def run_children(directory: Path, *arguments: str, first: str = "", **variables: str) -> list[str]:
    """Run the program to its end, and return the numbers of the events that arrive."""
    program = directory / "program.py"
    program.write_text(first + PRELUDE + CHILDREN)
    with Receiver() as receiver:
        # Nothing but the end of a process makes it send.
        sending = otlp(receiver.endpoint, OTEL_BLRP_SCHEDULE_DELAY="60000", PYTHONWARNINGS="ignore", **variables)
        command = [sys.executable, str(program), *arguments]
        ended = run(command, cwd=directory, env=program_environment(**sending), timeout_seconds=120)
        assert (ended.returncode, ended.stderr) == (0, "")
        return numbers(receiver)


def expected(count: int) -> Iterable[str]:
    return [str(number) for number in range(count)]


@pytest.mark.parametrize("outbox", [True, False], ids=["outbox", "no outbox"])
@pytest.mark.parametrize("how", ["fork", "forkserver", "spawn"])
def test_children_of_multiprocessing(
    tmp_path: Path, record_fault: Callable[..., Row], how: str, *, outbox: bool
) -> None:
    """`Process`, `Pool` and `ProcessPoolExecutor`, whose modules are imported after the host was configured."""
    variables = {"HELIOGRAPH_OUTBOX": str(tmp_path / "box")} if outbox else {}
    received = run_children(tmp_path, "multiprocessing", how, **variables)
    name = f"multiprocessing, {how}, {'with' if outbox else 'without'} an outbox"
    record_fault(name, acknowledged=expected(20), received=received)


def test_children_of_multiprocessing_that_is_imported_first(tmp_path: Path, record_fault: Callable[..., Row]) -> None:
    """The host is configured after `multiprocessing` was imported."""
    received = run_children(tmp_path, "multiprocessing", "fork", first="import multiprocessing.util\n")
    record_fault("multiprocessing, imported first", acknowledged=expected(20), received=received)


def test_children_of_multiprocess(tmp_path: Path, record_fault: Callable[..., Row]) -> None:
    """`multiprocess` is the same code under another name."""
    require("multiprocess")
    record_fault(
        "multiprocess, fork", acknowledged=expected(14), received=run_children(tmp_path, "multiprocess", "fork")
    )
