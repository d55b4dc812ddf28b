"""Programs register converters for classes of their own. Nothing that a converter does affects the program."""

from __future__ import annotations

import contextvars
import dataclasses
import enum
import logging
import os
import pathlib
import threading
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Annotated, Any

import pytest

import heliograph
from backends import wait_until
from heliograph import Attribute, Privacy
from heliograph.runtime.deadline import run_within
from heliograph.values import converters, forms
from heliograph.values.converters import RunningCall, is_fixed, register_converter
from heliograph.values.forms import MAX_CONVERTED_BYTES, MAX_MILLIS, TOO_LARGE, TOO_SLOW, form_of, protected_form_of
from heliograph.values.privacy import PrivacyPolicy
from threads import LIMIT_SECONDS


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents


class Price(Money):
    pass


@pytest.fixture(autouse=True)
def no_converters(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget the converters of a test."""
    monkeypatch.setattr(converters, "_registered", {})
    converters.converter_of.cache_clear()
    yield
    converters.converter_of.cache_clear()


MONEY = f"<{__name__}.Money>"


def test_registered_class_has_a_form() -> None:
    """Values of subclasses have one, too, also inside of other values, whatever the converter returns."""
    assert form_of(Money(1)) == MONEY
    heliograph.register_converter(Money, lambda money: {"cents": money.cents, "path": pathlib.PurePosixPath("a")})

    assert form_of([Money(1), {"x": Price(2)}]) == [{"cents": 1, "path": "a"}, {"x": {"cents": 2, "path": "a"}}]
    register_converter(Price, lambda price: f"{price.cents} ¢")
    assert form_of([Money(1), Price(2)])[1] == "2 ¢"  # type: ignore[index]
    register_converter(Money, lambda _: None)
    assert form_of(Money(1)) is None


def test_documented_class_keeps_its_converter() -> None:
    """A class with another base beside the documented one does not: the other base may get a converter."""

    class Named(pathlib.PurePosixPath):
        pass

    class Priced(Money, pathlib.PurePosixPath):
        pass

    assert is_fixed(pathlib.PurePosixPath)
    assert is_fixed(Named)
    assert not is_fixed(Priced)
    assert not is_fixed(Money)


def test_converter_runs_in_the_callers_context() -> None:
    """A converter sees the context variables of the caller, although it runs in another thread."""
    variable = contextvars.ContextVar("variable", default="")
    variable.set("here")
    register_converter(Money, lambda _: variable.get())

    assert form_of(Money(1)) == "here"


def test_privacy_is_applied_to_what_a_converter_returns() -> None:
    """Private values inside of it are protected, and the result says so."""

    @dataclasses.dataclass
    class Card:
        number: Any

    Card.__annotations__ = {"number": Annotated[str, Attribute(privacy=Privacy.MASK)]}
    register_converter(Money, lambda _: Card("4711"))

    assert protected_form_of([Money(1)], PrivacyPolicy()) == ([{"number": "<masked>"}], False)


def test_converter_that_raises_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """One warning names the class of the exception, and not its text, which may be private."""

    def fail(_: object) -> None:
        raise ValueError("secret")

    class Failing:
        pass

    register_converter(Failing, fail)
    with caplog.at_level(logging.WARNING):
        forms = form_of([Failing(), Failing(), 1])

    assert forms[2] == 1  # type: ignore[index]
    [message] = caplog.messages
    assert "raised builtins.ValueError" in message
    assert "secret" not in message


def test_converter_that_never_ends_costs_its_time_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller waits half a second, once; while the call goes on, the converter is not called, and no thread is added."""
    has_begun, is_done = threading.Event(), threading.Event()
    limits = []

    class Endless:
        pass

    def convert(_: object) -> bool:
        has_begun.set()
        return is_done.wait(60)

    def run(timeout_millis: float, function: Callable[[], object]) -> object:
        limits.append(timeout_millis)
        found = run_within(timeout_millis, function)
        assert has_begun.wait(LIMIT_SECONDS)  # on a busy machine, its thread may not have begun in time
        return found

    monkeypatch.setattr(forms, "run_within", run)
    register_converter(Endless, convert)
    register_converter(Money, lambda money: money.cents)
    assert "Endless>" in str(form_of([1, Endless(), Money(1)]))
    threads = threading.active_count()
    for _ in range(100):
        assert "Endless>" in str(form_of(Endless()))
    assert limits == [MAX_MILLIS]
    assert form_of([Money(1)]) == [1]
    assert threading.active_count() <= threads
    assert "took too long" in caplog.text
    is_done.set()
    wait_until(lambda: form_of(Endless()) is True)  # it is called again once the abandoned call has ended


def test_many_slow_conversions_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them share one time limit, instead of half a second for each."""
    now = 1000.0
    limits = []

    def convert(_: object) -> str:
        nonlocal now
        now += MAX_MILLIS / 1000 / 4
        return "converted"

    def run(timeout_millis: float, function: Callable[[], object]) -> object:
        limits.append(timeout_millis)
        return run_within(LIMIT_SECONDS * 1000, function)

    monkeypatch.setattr(forms, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(forms, "run_within", run)
    register_converter(Money, convert)

    # The fifth begins just when the time is over, which is not too late.
    assert form_of([Money(1)] * 1000) == ["converted"] * 5 + [TOO_SLOW] * 995
    assert limits == [MAX_MILLIS]


def test_result_of_a_converter_is_bounded() -> None:
    """The size of a result, the number of its values, and its depth have limits."""
    register_converter(Money, lambda money: "x" * money.cents)

    assert form_of(Money(MAX_CONVERTED_BYTES - 2)) == "x" * (MAX_CONVERTED_BYTES - 2)
    assert form_of(Money(MAX_CONVERTED_BYTES)) == TOO_LARGE
    register_converter(Money, lambda _: range(10**12))
    assert TOO_LARGE in form_of(Money(1))  # type: ignore[operator]
    register_converter(Money, lambda money: money)
    assert form_of(Money(1)) == "<cycle>"
    register_converter(Money, lambda money: [Money(money.cents + 1)])
    assert "<too deep>" in str(form_of(Money(1)))


def test_converter_that_makes_forms_itself_ends() -> None:
    """Inside of a converter, values of registered classes have no form of their own."""
    register_converter(Money, lambda _: form_of([Money(2)]))

    assert form_of(Money(1)) == [MONEY]


@pytest.mark.parametrize("cls", [dict, str, pathlib.Path, ValueError, enum.Enum, type(None)])
def test_class_that_has_a_form_is_refused(cls: type) -> None:
    """A documented form cannot be replaced."""
    with pytest.raises(ValueError, match="has a documented form already"):
        register_converter(cls, str)


def test_class_with_declared_fields_is_refused() -> None:
    """The fields of such a class may be private, and a converter would not know that."""

    @dataclasses.dataclass
    class Card:
        number: str

    with pytest.raises(ValueError, match="Card has a documented form"):
        register_converter(Card, str)


def test_wrong_arguments_are_refused() -> None:
    """An instance in place of the class, and something that cannot be called."""
    with pytest.raises(TypeError, match="expects a class"):
        register_converter(Money(1), str)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="function of one argument"):
        register_converter(Money, "cents")  # type: ignore[arg-type]


def test_mapping_of_a_program_is_not_iterated() -> None:
    """A mapping could be slow or endless. With a converter, it has a form."""

    class Endless(Mapping[str, int]):
        def __getitem__(self, key: str) -> int:
            raise AssertionError

        __iter__ = __len__ = __contains__ = __getitem__  # type: ignore[assignment]

    assert "Endless>" in str(form_of(Endless()))
    register_converter(Endless, lambda _: {"a": 1})
    assert form_of(Endless()) == {"a": 1}


def test_converter_that_was_not_called_in_time_is_called_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, the thread may not have begun before the time is over."""
    register_converter(Money, lambda money: money.cents)
    with monkeypatch.context() as patch:
        patch.setattr(forms, "run_within", lambda timeout_millis, function: None)
        assert form_of([Money(1)]) == [MONEY]

    assert form_of([Money(1)]) == [1]


def test_call_of_the_parent_is_not_running_in_a_forked_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread of the call does not exist in the child, so the converter can be called again."""
    call = RunningCall()
    assert call.is_running
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)

    assert not call.is_running
