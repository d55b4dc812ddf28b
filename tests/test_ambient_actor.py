"""An event that names no actor has the one of its context, and never that of another one."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from heliograph import (
    Event,
    RequestActor,
    acting_as,
    ambient_actor,
    current_actor,
    default_actor,
    set_actor,
)
from heliograph.ambient_actor import current_request
from heliograph.runtime.generators import CONTEXT_MANAGER_PACKAGES
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.safe_logger import SafeLogger
from recorder import Telemetry
from threads import join


@dataclass
class BanUserEvent(Event):
    name = "ban-user"
    user: dict


@pytest.fixture(autouse=True)
def new_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test see the first warning of its kind."""
    monkeypatch.setattr(ambient_actor, "failures", LimitedLog(SafeLogger("heliograph")))


@pytest.fixture(autouse=True)
def nobody_is_left() -> Iterator[None]:
    """No test leaves an actor to the next one."""
    yield
    assert current_actor() is None


def test_acting_as_applies_to_its_block_and_nests() -> None:
    """The innermost block decides, and nothing remains after it, even after an exception."""
    assert current_actor() is None
    with acting_as({"id": "outer"}):
        with pytest.raises(ZeroDivisionError), acting_as({"id": "inner"}):
            assert current_actor() == {"id": "inner"}
            raise ZeroDivisionError
        with acting_as(None):
            assert BanUserEvent(user={}).actor is None
        assert BanUserEvent(user={}).actor == {"id": "outer"}
    assert current_actor() is None


def test_acting_as_calls_a_function_for_each_event() -> None:
    """`acting_as` accepts a function, because a middleware may not know the user yet."""
    known: list[dict[str, object] | None] = [None]

    with acting_as(lambda: known[0]):
        early = BanUserEvent(user={})
        known[0] = {"id": "late"}
        late = BanUserEvent(user={})

    assert (early.actor, late.actor) == (None, {"id": "late"})


def test_acting_as_rejects_other_values() -> None:
    """A string in place of a mapping is an error where it is written."""
    with pytest.raises(TypeError, match=r"such as \{'id': 'root'\}, or a function that returns one, not builtins\.str"):
        with acting_as("root"):  # type: ignore[arg-type]
            pass
    with pytest.raises(TypeError, match=r"take an actor's mapping"):
        set_actor(1)  # type: ignore[arg-type]


def test_acting_as_rejects_async_functions() -> None:
    """An event is created by sync code, which cannot await its actor."""

    async def who() -> dict[str, object]:
        return {"id": "root"}  # pragma: no cover — never awaited

    with pytest.raises(TypeError, match="not an async function"):
        with acting_as(who):  # type: ignore[arg-type]
            pass


def test_acting_as_rejects_an_object_whose_class_hides_its_name() -> None:
    """The error names the class without running its code."""

    class Hidden(type):
        def __getattribute__(cls, name: str) -> object:
            raise ValueError(name)

    class Nobody(metaclass=Hidden):
        pass

    with pytest.raises(TypeError, match="Nobody"):
        with acting_as(object.__new__(Nobody)):  # type: ignore[arg-type]
            pass


def test_callable_proxy_of_an_actor_is_an_actor() -> None:
    """Werkzeug's `LocalProxy`, as of Flask-Login's current user, has every method, and so looks like a function."""

    class Proxy:
        __class__ = dict  # type: ignore[assignment]

        def __call__(self) -> object:
            raise TypeError("'dict' object is not callable")

    proxy = Proxy()
    with acting_as(proxy):  # type: ignore[arg-type]
        assert BanUserEvent(user={}).actor is proxy


def test_lazy_function_runs_when_an_event_is_created() -> None:
    """Attributes of the function may not be readable before, like those of a `LocalProxy` outside of a request."""

    class Lazy:
        def __getattribute__(self, name: str) -> object:
            if name == "__class__":
                return type(self)
            raise RuntimeError("working outside of request context")

        def __call__(self) -> dict[str, object]:
            return {"id": "root"}

    with acting_as(Lazy()):
        assert BanUserEvent(user={}).actor == {"id": "root"}


def test_thread_has_its_own_ambient_actor() -> None:
    """A new thread has no ambient actor, unless it runs in a copy of the context."""
    seen: list[object] = []

    with acting_as({"id": "root"}):
        context = contextvars.copy_context()
        for target in (lambda: seen.append(current_actor()), lambda: context.run(lambda: seen.append(current_actor()))):
            thread = threading.Thread(target=target)
            thread.start()
            join(thread)

    assert seen == [None, {"id": "root"}]


@pytest.mark.anyio
async def test_task_has_its_own_ambient_actor() -> None:
    """Tasks that run at the same time do not affect each other."""
    seen: dict[str, object] = {}

    async def work(name: str) -> None:
        with acting_as({"id": name}):
            await anyio.lowlevel.checkpoint()
            seen[name] = current_actor()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work, "a")
        tasks.start_soon(work, "b")

    assert seen == {"a": {"id": "a"}, "b": {"id": "b"}}


# Actors that fail


@pytest.mark.parametrize("error", [RuntimeError("session store is down"), asyncio.CancelledError()])
def test_function_that_fails_is_logged_once_and_there_is_no_actor(
    warnings: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """Events are made nevertheless."""

    def who() -> dict[str, object]:
        raise error

    with acting_as(who):
        events = [BanUserEvent(user={}) for _ in range(3)]

    assert [event.actor for event in events] == [None, None, None]
    assert warnings.text.count("The function that was passed to acting_as() failed") == 1
    assert warnings.text.count("Traceback") == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_other_exceptions_of_the_function_pass(error: type[BaseException]) -> None:
    """A signal handler may raise one while the function runs."""

    def who() -> dict[str, object]:
        raise error

    with acting_as(who), pytest.raises(error):
        BanUserEvent(user={})


def test_lazy_object_whose_class_is_unknown_is_accepted() -> None:
    """To ask a lazy object for its class would run its code."""

    class Lazy:
        __class__ = property(lambda _: 1 / 0)  # type: ignore[assignment]

    lazy = Lazy()
    with acting_as(lazy):  # type: ignore[arg-type]
        assert BanUserEvent(user={}).actor is lazy


def test_lazy_function_is_not_asked_for_its_class_later() -> None:
    """An object may know its class where the block begins, and not where the request is looked for."""
    fails = False

    class Lazy:
        @property  # type: ignore[misc]
        def __class__(self) -> type:
            if fails:
                raise RuntimeError("working outside of request context")
            return Lazy

        def __call__(self) -> dict[str, object]:
            return {"id": "root"}

    with acting_as(Lazy()):
        fails = True
        assert current_request() is None


# Blocks that end elsewhere

WARNING = "ended in another task, thread or order"


def test_block_left_in_another_task(warnings: pytest.LogCaptureFixture) -> None:
    """No exception is raised, and a warning says how to avoid it."""
    seen = []

    @contextlib.asynccontextmanager
    async def fixture() -> AsyncIterator[None]:
        with acting_as({"id": "fixture"}):
            yield

    async def main() -> None:
        manager = fixture()
        await asyncio.create_task(manager.__aenter__())  # type: ignore[arg-type]
        seen.append(current_actor())
        await asyncio.create_task(manager.__aexit__(None, None, None))  # type: ignore[arg-type]
        seen.append(current_actor())

    asyncio.run(main())
    assert seen == [None, None]
    assert warnings.text.count(WARNING) == 1


def test_block_left_in_another_thread(warnings: pytest.LogCaptureFixture) -> None:
    """The thread that entered it goes on without its actor, and with the one around it."""
    with acting_as({"id": "outer"}):
        manager = acting_as({"id": "inner"})
        manager.__enter__()
        assert current_actor() == {"id": "inner"}
        thread = threading.Thread(target=manager.__exit__, args=(None, None, None))
        thread.start()
        join(thread)
        assert current_actor() == {"id": "outer"}
    assert WARNING in warnings.text


def test_block_left_in_a_copy_of_its_context(warnings: pytest.LogCaptureFixture) -> None:
    """The actor is gone in the context and in its copy, and a warning is logged."""
    context = contextvars.copy_context()

    def run() -> None:
        manager = acting_as({"id": "inner"})
        manager.__enter__()
        copy = contextvars.copy_context()
        copy.run(manager.__exit__, None, None, None)
        assert (current_actor(), copy.run(current_actor)) == (None, None)

    context.run(run)
    assert WARNING in warnings.text


def test_blocks_left_in_another_order(warnings: pytest.LogCaptureFixture) -> None:
    """The actor of the first does not come back when the second ends."""
    first, second = acting_as({"id": "first"}), acting_as({"id": "second"})
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert current_actor() == {"id": "second"}
    second.__exit__(None, None, None)
    assert current_actor() is None
    assert WARNING in warnings.text


def test_task_keeps_the_actor_of_the_block_it_was_started_in() -> None:
    """The block may end before the task does."""
    seen = []

    async def later() -> None:
        await asyncio.sleep(0)
        seen.append(current_actor())

    async def main() -> None:
        with acting_as({"id": "root"}):
            task = asyncio.create_task(later())
        await task

    asyncio.run(main())
    assert seen == [{"id": "root"}]


# Generators


def rows(name: str, seen: list[object]) -> Iterator[int]:
    """Yield rows in a block of its own."""
    with acting_as({"id": name}):
        for number in range(3):
            seen.append(current_actor())
            yield number


def test_caller_of_a_generator_does_not_have_its_actor() -> None:
    """The caller has its own actor between two rows, and after a loop that ends early."""
    inside: list[object] = []
    outside: list[object] = []
    for number in rows("importer", inside):
        outside.append(current_actor())
        if number:
            break
    generator = rows("importer", inside)
    next(generator)
    outside.append(current_actor())
    with acting_as({"id": "caller"}):
        next(generator)
        outside.append(current_actor())
    del generator
    gc.collect()

    assert inside == [{"id": "importer"}] * 3 + [{"id": "caller"}]
    assert outside == [None, None, None, {"id": "caller"}]


def test_generators_that_are_read_in_turn_have_their_own_actors() -> None:
    """The order in which they end does not matter."""
    first: list[object] = []
    second: list[object] = []
    for _ in zip(rows("first", first), rows("second", second)):
        assert current_actor() is None
    gc.collect()

    assert {str(actor) for actor in first} == {"{'id': 'first'}"}
    assert {str(actor) for actor in second} == {"{'id': 'second'}"}


def test_caller_of_an_async_generator_does_not_have_its_actor() -> None:
    """The event loop may still have to close the generator. The tasks that it starts have its actor."""
    seen: list[object] = []

    async def note() -> None:
        seen.append(current_actor())

    async def async_rows() -> AsyncIterator[int]:
        with acting_as({"id": "importer"}):
            for number in range(3):
                await asyncio.create_task(note())
                yield number

    async def main() -> None:
        async for number in async_rows():
            if number:
                break
        assert current_actor() is None
        await asyncio.sleep(0.05)
        assert current_actor() is None

    asyncio.run(main())
    assert seen == [{"id": "importer"}] * 2


def test_block_inside_of_a_context_manager_of_a_generator_is_the_generators() -> None:
    """The generator that uses the context manager has the actor in its body. The code that drives it has not."""

    @contextlib.contextmanager
    def importing() -> Iterator[None]:
        with acting_as({"id": "importer"}):
            yield

    def imported() -> Iterator[object]:
        with importing():
            yield current_actor()

    with importing():
        assert current_actor() == {"id": "importer"}
    generator = imported()
    assert next(generator) == {"id": "importer"}
    assert current_actor() is None
    generator.close()  # type: ignore[attr-defined]


class ActingAs:
    """A context manager of a program, as a class."""

    def __init__(self, name: str) -> None:
        self._block = acting_as({"id": name})

    def __enter__(self) -> None:
        self._block.__enter__()

    def __exit__(self, *error: object) -> None:
        self._block.__exit__(None, None, None)

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(self, *error: object) -> None:
        self.__exit__()


def test_block_that_a_class_enters_in_a_generator_is_the_generators() -> None:
    """The method that entered the block has returned long before the first row."""

    def class_rows() -> Iterator[object]:
        with ActingAs("importer"):
            yield current_actor()

    def stack_rows() -> Iterator[object]:
        with contextlib.ExitStack() as stack:
            stack.enter_context(ActingAs("importer"))
            yield current_actor()

    for make in (class_rows, stack_rows):
        for actor in make():
            assert actor == {"id": "importer"}
            assert current_actor() is None


def test_block_that_a_class_enters_in_an_async_generator_is_the_generators() -> None:
    """The rule is the same with `async with`."""

    async def async_rows() -> AsyncIterator[object]:
        async with ActingAs("importer"):
            yield current_actor()

    async def main() -> None:
        async for actor in async_rows():
            assert actor == {"id": "importer"}
            assert current_actor() is None

    asyncio.run(main())


def test_block_that_a_class_enters_in_a_context_manager_has_its_body() -> None:
    """Any number of functions may be between the block and the context manager."""

    @contextlib.contextmanager
    def importing() -> Iterator[None]:
        with ActingAs("importer"):
            yield

    with importing():
        assert current_actor() == {"id": "importer"}


@pytest.mark.parametrize("package", sorted(CONTEXT_MANAGER_PACKAGES))
@pytest.mark.parametrize("is_generated", [False, True])
def test_dependency_of_a_framework_is_a_context_manager(package: str, is_generated: bool) -> None:
    """A dependency is suspended while the code that needs it runs. Some frameworks generate the code that reads its generator."""

    def dependency() -> Iterator[object]:
        with acting_as({"id": "root"}):
            yield None

    generated: dict[str, Any] = {}
    exec("def read(generator): return next(generator)", generated)
    read = generated["read"] if is_generated else next
    framework: dict[str, Any] = {"__name__": f"{package}.container", "read": read}
    exec("def enter(generator): read(generator)", framework)

    generator = dependency()
    framework["enter"](generator)
    assert current_actor() == {"id": "root"}
    next(generator, None)
    assert current_actor() is None


@pytest.fixture
def as_root() -> Iterator[None]:
    """A fixture is a generator whose caller runs the test."""
    with acting_as({"id": "root"}):
        yield


def test_fixture_gives_its_actor_to_the_test(as_root: None) -> None:
    """The test is the body of the block."""
    assert current_actor() == {"id": "root"}


def test_interrupted_comparison_of_contexts_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal handler may ask for the actor in the middle of another question of its thread."""
    generator = rows("importer", [])
    next(generator)
    [block] = [ambient_actor._current.get()]
    assert block is not None
    ambient_actor._probe.reset(block._probe_token)  # type: ignore[arg-type]
    assert current_actor() == {"id": "importer"}
    generator.close()  # type: ignore[attr-defined]


# Requests


def test_actor_that_becomes_known_during_a_request() -> None:
    """A dependency in another thread, with a copy of the context, fills it in for all of the request."""
    with acting_as(RequestActor()):
        assert BanUserEvent(user={}).actor is None
        thread = threading.Thread(target=contextvars.copy_context().run, args=(set_actor, {"id": "root"}))
        thread.start()
        join(thread)
        assert BanUserEvent(user={}).actor == {"id": "root"}
        with acting_as({"id": "job"}):
            set_actor(lambda: {"id": "other"})
            assert BanUserEvent(user={}).actor == {"id": "job"}
        assert BanUserEvent(user={}).actor == {"id": "other"}
        set_actor(None)
        assert BanUserEvent(user={}).actor is None


def test_requests_at_the_same_time_have_their_own_actors() -> None:
    """The block around the server is not changed."""

    async def request(name: str) -> object:
        with acting_as(RequestActor()):
            await asyncio.sleep(0)
            set_actor({"id": name})
            await asyncio.sleep(0)
            return current_actor()

    async def main() -> list[object]:
        return await asyncio.gather(request("a"), request("b"))

    with acting_as({"id": "server"}):
        assert asyncio.run(main()) == [{"id": "a"}, {"id": "b"}]
        assert current_actor() == {"id": "server"}


def test_actor_outside_of_a_request_changes_nothing(warnings: pytest.LogCaptureFixture) -> None:
    """An actor that no request ends would stay for everything that the thread does next."""
    set_actor({"id": "root"})
    with acting_as({"id": "job"}):
        set_actor({"id": "root"})
        assert current_actor() == {"id": "job"}
    assert current_actor() is None
    assert warnings.text.count("outside of a request") == 1


# Functions that are asked where no block applies


Register = Callable[[Callable[[], object]], Callable[[], None]]


@pytest.fixture
def register() -> Iterator[Register]:
    """Register functions by `default_actor` for the time of a test."""
    removals = []

    def register(function: Callable[[], object]) -> Callable[[], None]:
        removals.append(default_actor(function))  # type: ignore[arg-type]
        return removals[-1]

    yield register
    for remove in removals:
        remove()


@pytest.mark.parametrize("outer", [{"id": "outer"}, None])
def test_function_of_acting_as_may_make_events(outer: dict[str, object] | None) -> None:
    """Events that the function makes have the actor of the block around it, and do not call the function again."""
    made = []

    def who() -> dict[str, object]:
        made.append(BanUserEvent(user={}))
        with acting_as({"id": "nested"}):
            made.append(BanUserEvent(user={}))
        return {"id": "inner"}

    with acting_as(outer), acting_as(who):
        assert [BanUserEvent(user={}).actor for _ in range(2)] == [{"id": "inner"}] * 2
    assert [event.actor for event in made] == [outer, {"id": "nested"}] * 2


def test_function_of_acting_as_may_track(telemetry: Telemetry) -> None:
    """One call of `track` gives two events: that of the function has the actor of the block around it."""

    def who() -> dict[str, object]:
        host.track(BanUserEvent(user={}))
        return {"id": "inner"}

    with telemetry.host(events=[BanUserEvent]) as host, acting_as({"id": "outer"}), acting_as(who):
        host.track(BanUserEvent(user={}))
    assert [attributes["user.id"] for _, attributes in telemetry.events] == ["outer", "inner"]


def test_functions_of_nested_blocks_may_make_events() -> None:
    """Each is called once for an event of the function inside of it."""
    made = []

    def outer() -> dict[str, object]:
        made.append(BanUserEvent(user={}))
        return {"id": "outer"}

    def inner() -> dict[str, object]:
        made.append(BanUserEvent(user={}))
        return {"id": "inner"}

    with acting_as(outer), acting_as(inner):
        assert current_actor() == {"id": "inner"}
    assert [event.actor for event in made] == [None, {"id": "outer"}]


def test_function_that_makes_events_and_fails() -> None:
    """The next event calls the function again."""
    calls = []

    def who() -> dict[str, object]:
        calls.append(BanUserEvent(user={}))
        raise LookupError

    with acting_as(who):
        assert [current_actor(), current_actor()] == [None, None]
    assert len(calls) == 2


def test_request_may_find_its_actor_by_set_actor() -> None:
    """Code that authenticates while an event asks for the actor."""

    class Lazy(RequestActor):
        def unknown(self) -> dict[str, object]:
            set_actor({"id": "found"})
            return {"id": "first"}

    with acting_as(Lazy()):
        assert [current_actor(), current_actor()] == [{"id": "first"}, {"id": "found"}]


def test_request_may_change_the_actor_that_was_filled_in() -> None:
    """A subclass of `RequestActor` may have a `__call__` of its own."""

    class WithTenant(RequestActor):
        def __call__(self) -> dict[str, object]:
            return {**(super().__call__() or {}), "tenant": "t"}

    with acting_as(WithTenant()):
        set_actor({"id": "a"})
        assert current_actor() == {"id": "a", "tenant": "t"}


def test_class_of_a_function_is_not_asked() -> None:
    """A lazy object may be callable only where it is called."""

    class Lazy:
        def __get__(self, instance: object, owner: type) -> Callable[[], dict[str, object]]:
            if instance is None:
                raise LookupError
            return lambda: {"id": "a"}

    class Who:
        __call__ = Lazy()

    with acting_as(Who()):
        assert current_actor() == {"id": "a"}


def test_default_actor_is_asked_where_no_block_applies(register: Register) -> None:
    """A block decides alone, also one without an actor, and one of a request whose actor is not known."""
    user: dict[str, object] = {"id": "of the framework"}
    remove = register(lambda: user)

    assert BanUserEvent(user={}).actor == user
    with acting_as({"id": "job"}):
        assert current_actor() == {"id": "job"}
    for nobody in (None, RequestActor()):
        with acting_as(nobody):
            assert current_actor() is None
    thread_saw: list[object] = []
    thread = threading.Thread(target=lambda: thread_saw.append(current_actor()))
    thread.start()
    join(thread)
    assert thread_saw == [user]
    remove()
    remove()
    assert current_actor() is None


def test_default_actor_applies_to_the_caller_of_a_generator(register: Register) -> None:
    """The block of the generator does not count for its caller."""
    register(lambda: {"id": "caller"})
    inside: list[object] = []
    outside = [current_actor() for _ in rows("importer", inside)]

    assert inside == [{"id": "importer"}] * 3
    assert outside == [{"id": "caller"}] * 3


def test_default_actors_are_asked_in_order(register: Register) -> None:
    """The first that knows an actor decides, and each is registered once."""
    asked = []

    def first() -> None:
        asked.append("first")

    def second() -> dict[str, object]:
        asked.append("second")
        return {"id": "second"}

    for function in (first, second, first, lambda: {"id": "third"}):
        register(function)

    assert current_actor() == {"id": "second"}
    assert asked == ["first", "second"]


def test_request_is_the_first_object_of_one_among_the_default_actors(register: Register) -> None:
    """A function knows an actor and no request."""
    register(lambda: {"id": "root"})
    assert current_request() is None

    request = RequestActor()
    register(request)
    register(RequestActor())
    assert current_request() is request


def test_default_actor_that_knows_none(register: Register) -> None:
    """A function that returns `None` gives an event no actor."""
    register(lambda: None)

    assert current_actor() is None


@pytest.mark.parametrize("error", [RuntimeError("session store is down"), asyncio.CancelledError()])
def test_default_actor_that_fails_is_logged_once_and_there_is_no_actor(
    register: Register, warnings: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """The next function is not asked: it might name somebody who did not act."""

    def who() -> dict[str, object]:
        raise error

    register(who)
    register(lambda: {"id": "another"})

    assert [BanUserEvent(user={}).actor for _ in range(3)] == [None, None, None]
    assert warnings.text.count("The function that was passed to default_actor() failed") == 1
    with acting_as({"id": "root"}):
        assert current_actor() == {"id": "root"}


def test_default_actor_may_make_events(register: Register) -> None:
    """Events that the function makes have no actor, and do not ask for one again."""
    made = []

    def who() -> dict[str, object]:
        made.append(BanUserEvent(user={}))
        return {"id": "root"}

    register(who)

    assert current_actor() == {"id": "root"}
    assert [event.actor for event in made] == [None]


def test_exception_of_a_signal_handler_passes_a_default_actor(register: Register) -> None:
    """The next event asks the function again, and has its actor."""
    error: list[type[BaseException]] = [KeyboardInterrupt]

    def who() -> dict[str, object]:
        if error:
            raise error.pop()
        return {"id": "root"}

    register(who)
    with pytest.raises(KeyboardInterrupt):
        current_actor()
    assert current_actor() == {"id": "root"}


async def async_function() -> None:
    """A function that nobody awaits."""


@pytest.mark.parametrize("function", [{"id": "root"}, None, async_function])
def test_default_actor_rejects_other_values(function: object) -> None:
    """A wrong value is an error where it is written, and not with the first event."""
    with pytest.raises(TypeError, match=r"default_actor\(\) takes a sync function"):
        default_actor(function)  # type: ignore[arg-type]
