"""A function runs before a child process ends by `os._exit`, where the process gives notice of its end."""

from __future__ import annotations

import gc
import multiprocessing.util
import sys
import weakref
from types import ModuleType

import pytest

from heliograph.runtime.child_exit import CELERY_SIGNALS, FINALIZERS, ChildExit
from scripts import python

CHILD = """
import {modules}
from heliograph.runtime.child_exit import ChildExit
child_exit = ChildExit(lambda: report(pid=os.getpid()))
import multiprocessing
{before}
child = multiprocessing.get_context("fork").Process(target=lambda: None)
child.start()
child.join()
report(child=child.pid)
"""


@pytest.mark.parametrize("modules", ["multiprocessing.util", "json"], ids=["imported before", "imported after"])
def test_function_is_called_in_the_child(modules: str) -> None:
    """The call does not depend on when `multiprocessing` is imported."""
    ran = python(CHILD.format(modules=modules, before="pass"), fresh=True, PYTHONWARNINGS="ignore")

    called = [report for report in ran.reports if "pid" in report]
    [child] = [report["child"] for report in ran.reports if "child" in report]
    assert called[0] == {"pid": child}


def test_function_is_not_called_after_cancel() -> None:
    """A child that is forked after `cancel` ends without a call."""
    ran = python(
        CHILD.format(modules="multiprocessing.util", before="child_exit.cancel()"), fresh=True, PYTHONWARNINGS="ignore"
    )

    assert [report for report in ran.reports if "pid" in report] == []


def test_function_is_called_in_a_grandchild() -> None:
    """A child of a child, although `multiprocessing` was connected in the first process already."""
    ran = python(
        """
import multiprocessing
from heliograph.runtime.child_exit import ChildExit
child_exit = ChildExit(lambda: report(name=multiprocessing.current_process().name))
context = multiprocessing.get_context("fork")

def work():
    inner = context.Process(target=lambda: None, name="inner")
    inner.start()
    inner.join()

child = context.Process(target=work, name="outer")
child.start()
child.join()
""",
        fresh=True,
        PYTHONWARNINGS="ignore",
    )

    assert [report["name"] for report in ran.reports if report["name"] != "MainProcess"] == ["inner", "outer"]


def test_nothing_is_kept_after_cancel() -> None:
    """The finalizers and callbacks of `multiprocessing` do not keep the object alive."""
    assert multiprocessing.util.__name__ in FINALIZERS
    child_exit = ChildExit(lambda: None)
    reference = weakref.ref(child_exit)

    child_exit.cancel()
    del child_exit
    gc.collect()

    assert reference() is None


def test_signal_of_celery(monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery's workers send a signal, with arguments, in place of running finalizers."""
    receivers = []

    class Signal:
        def connect(self, receiver: object) -> None:
            receivers.append(receiver)

    signals = ModuleType(CELERY_SIGNALS)
    signals.worker_process_shutdown = Signal()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, CELERY_SIGNALS, signals)
    called = []
    child_exit = ChildExit(lambda: called.append(1))

    [receiver] = receivers
    receiver(sender=None, pid=1, exitcode=0)
    child_exit.cancel()
    receiver(sender=None, pid=1, exitcode=0)

    assert called == [1]


def test_modules_that_are_not_imported_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that does not use a module does not import it because of us."""
    for name in (*FINALIZERS, CELERY_SIGNALS):
        monkeypatch.delitem(sys.modules, name, raising=False)

    ChildExit(lambda: None).cancel()

    assert not {*FINALIZERS, CELERY_SIGNALS} & set(sys.modules)
