"""The actor of a task of Celery: in its header, where the task runs, and in the events that arrive from a real worker."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import celery
import pytest
from celery.app.trace import build_tracer
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph import Host, Settings, acting_as, ambient_actor, current_actor, set_actor
from heliograph.integrations import celery as integration
from heliograph.integrations.celery import HEADER, MAX_HEADER_LENGTH, NAMESPACE, init_app
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE
from integrations.celery_workers import SECRET, assert_each_task_has_its_sender, send_tasks

ROOT = {"id": "root"}


@pytest.fixture(autouse=True)
def new_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test sees the first warning of its kind."""
    for module in (ambient_actor, integration):
        monkeypatch.setattr(module, "failures", LimitedLog(SafeLogger("heliograph")))


def ours(warnings: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return the records of heliograph. Kombu logs one when the first application of a process connects."""
    return [record for record in warnings.records if record.name == "heliograph"]


class Tasks:
    """An application whose messages stay in memory, and which runs them as a worker does."""

    def __init__(self, host: Host, **config: Any) -> None:
        self.app = celery.Celery("tests", broker="memory://", set_as_current=False)
        self.app.conf.update(task_ignore_result=True, **config)
        self.seen: list[object] = []
        self.sent: list[dict[str, Any]] = []
        self.see, self.other = (self.task(self.seeing(), name) for name in ("see", "other"))
        init_app(self.app, host)
        celery.signals.before_task_publish.connect(self._keep, weak=False, dispatch_uid=id(self))

    def task(self, function: Callable[[], None], name: str) -> Any:
        """Make a task of this application alone."""
        return self.app.task(function, name=name, shared=False)

    def seeing(self) -> Callable[[], None]:
        """Return a function that notes the ambient actor."""

        def see() -> None:
            self.seen.append(current_actor())

        return see

    def _keep(self, *, headers: dict[str, Any], body: Any, **_: object) -> None:
        self.sent.append({**body, "headers": headers} if isinstance(body, dict) else headers)

    def run(self, message: dict[str, Any], task: Any = None) -> None:
        """Run a message."""
        task = task or self.app.tasks[message["task"]]
        build_tracer(task.name, task, app=self.app)(message["id"], (), {}, {"delivery_info": {}, **message})

    def close(self) -> None:
        for each in (celery.signals.before_task_publish, celery.signals.task_prerun, celery.signals.task_postrun):
            each.disconnect(dispatch_uid=(SCOPE, id(self.app)))
            each.disconnect(dispatch_uid=id(self))
        self.app.close()


@contextmanager
def tasks_of(host: Host, **config: Any) -> Iterator[Tasks]:
    tasks = Tasks(host, **config)
    try:
        yield tasks
    finally:
        tasks.close()


@pytest.fixture
def host() -> Host:
    return Host(Settings(secret=(SECRET,)))


@pytest.fixture
def tasks(host: Host) -> Iterator[Tasks]:
    with tasks_of(host) as tasks:
        yield tasks


@pytest.mark.parametrize("protocol", [1, 2])
def test_sender_is_the_actor(host: Host, protocol: int) -> None:
    """The actor is that of the task, and nothing else's. The message of nobody has no header, and its task no actor."""
    with tasks_of(host, task_protocol=protocol) as tasks:
        with acting_as(ROOT):
            tasks.see.delay()
        tasks.see.delay()
        with acting_as({"id": "of the worker"}):
            for message in tasks.sent:
                tasks.run(message)
            assert current_actor() == {"id": "of the worker"}
        assert tasks.seen == [ROOT, None]
        assert HEADER not in str(tasks.sent[1])


def test_eager_task_keeps_the_ambient_actor(tasks: Tasks) -> None:
    """The same holds inside of a task in a worker."""

    def nest() -> None:
        tasks.see.apply()

    nested = tasks.task(nest, "nested")
    with acting_as(ROOT):
        tasks.see.apply()
        nested.delay()
    tasks.app.conf.task_always_eager = True
    with acting_as({"id": "b"}):
        tasks.see.delay()
    tasks.see.apply()
    tasks.run(tasks.sent[0])
    assert tasks.seen == [ROOT, {"id": "b"}, None, ROOT]


def test_task_may_name_another_actor(tasks: Tasks) -> None:
    """A task may call `set_actor`, with and without a header. The actor ends with the task."""

    def change() -> None:
        set_actor({"id": "set"})
        tasks.see.apply()

    changing = tasks.task(change, "change")
    with acting_as(ROOT):
        changing.delay()
    changing.delay()
    tasks.see.delay()
    for message in tasks.sent:
        tasks.run(message)
    assert tasks.seen == [{"id": "set"}, {"id": "set"}, None]


def test_task_that_raises_leaves_no_actor(tasks: Tasks) -> None:
    """The next task of the same thread has its own."""

    def fail() -> None:
        tasks.see.apply()
        raise RuntimeError("failed")

    failing = tasks.task(fail, "fail")
    with acting_as(ROOT):
        failing.delay()
    tasks.run(tasks.sent[0])
    assert tasks.seen == [ROOT]
    assert current_actor() is None


def signed(tasks: Tasks) -> dict[str, Any]:
    with acting_as(ROOT):
        tasks.see.delay()
    return dict(tasks.sent.pop())


def of_another_secret(message: dict[str, Any]) -> dict[str, Any]:
    forged = Host(Settings(secret=("another",))).sign([ROOT, message["id"], message["task"]], NAMESPACE)
    return {**message, HEADER: forged}


REFUSED = {
    "another id": lambda host, message: {**message, "id": "another"},
    "another task": lambda host, message: {**message, "task": "other"},
    "another secret": lambda host, message: of_another_secret(message),
    "another purpose": lambda host, message: {
        **message,
        HEADER: host.sign([ROOT, message["id"], message["task"]], "token"),
    },
    "changed": lambda host, message: {**message, HEADER: "x" + message[HEADER]},
    "cut": lambda host, message: {**message, HEADER: message[HEADER][:-1]},
    "empty": lambda host, message: {**message, HEADER: ""},
    "no text": lambda host, message: {**message, HEADER: {"id": "root"}},
    "bytes": lambda host, message: {**message, HEADER: message[HEADER].encode()},
    "lone surrogate": lambda host, message: {**message, HEADER: "\udc80.\udc80"},
    "too long": lambda host, message: {**message, HEADER: message[HEADER] + "x" * MAX_HEADER_LENGTH},
    "another value": lambda host, message: {**message, HEADER: host.sign(7, NAMESPACE)},
    "another list": lambda host, message: {**message, HEADER: host.sign([ROOT], NAMESPACE)},
    "no mapping": lambda host, message: {**message, HEADER: host.sign(["root", message["id"], "see"], NAMESPACE)},
}


def test_id_that_is_a_uuid(tasks: Tasks) -> None:
    """The program may choose the id. It arrives as text, except where no message is encoded."""
    chosen = uuid.uuid4()
    with acting_as(ROOT):
        tasks.see.apply_async(task_id=chosen)
    [message] = tasks.sent
    for received in (chosen, str(chosen)):
        tasks.run({**message, "id": received})
    assert tasks.seen == [ROOT, ROOT]


@pytest.mark.parametrize("change", REFUSED)
def test_header_that_is_refused(tasks: Tasks, host: Host, warnings: pytest.LogCaptureFixture, change: str) -> None:
    """The task runs without an actor. One warning says so, and has nothing of the header."""
    message = REFUSED[change](host, signed(tasks))
    for _ in range(3):
        tasks.run(message)
    assert tasks.seen == [None, None, None]
    [record] = ours(warnings)
    assert record.getMessage() == integration.REFUSED
    assert record.exc_info is None


def test_header_in_the_headers_of_another_message(tasks: Tasks, host: Host) -> None:
    """Code that copies the headers of its task signs them again, as whoever acts there."""
    message = signed(tasks)
    tasks.see.apply_async(headers={HEADER: message[HEADER], "x": "y"})
    with acting_as({"id": "b"}):
        tasks.see.apply_async(headers={HEADER: message[HEADER]}, task_id="chosen")
    for each in tasks.sent:
        tasks.run(each)
    assert tasks.seen == [None, {"id": "b"}]
    assert (tasks.sent[0]["x"], tasks.sent[1]["id"]) == ("y", "chosen")


def test_secrets_may_be_rotated() -> None:
    """A worker accepts the headers of older secrets, and of other hash functions."""
    with tasks_of(Host(Settings(secret=("old",)))) as tasks:
        message = signed(tasks)
        init_app(tasks.app, Host(Settings(secret=("new", "old"), signature_digest=("sha256", "sha1"))))
        tasks.run(message)
        tasks.run(signed(tasks))
        init_app(tasks.app, Host(Settings(secret=("new",), signature_digest=("sha256",))))
        tasks.run(message)
        assert tasks.seen == [ROOT, ROOT, None]


def test_current_app_stands_for_the_application(host: Host) -> None:
    """A proxy of Celery is as good, and tasks of another application are not ours."""
    with tasks_of(host) as tasks:
        init_app(celery.local.Proxy(lambda: tasks.app), host)
        message = signed(tasks)
        tasks.run(message)
        assert tasks.seen == [ROOT]
    with tasks_of(host) as tasks:
        others = celery.Celery("others", broker="memory://", set_as_current=False)
        tasks.run(signed(tasks), others.task(tasks.seeing(), name="see", shared=False))
        assert tasks.seen == [None]


ACTORS: list[tuple[object, object]] = [
    ({"id": 7, "name": "Ada"}, {"id": 7, "name": "Ada"}),
    ({"id": uuid.UUID(int=1)}, {"id": "00000000-0000-0000-0000-000000000001"}),
    ({"id": "a", "roles": {"b"}, "none": None}, {"id": "a", "roles": ["b"]}),
    ({"id": "a", "email": "a@example.com", "hidden": "x"}, {"id": "a"}),
    ({"id": "a", "secret": "x"}, {"id": "a", "secret": "<masked>"}),
    ({"id": "a", "hashed": "x"}, {"id": "a", "hashed": "x"}),
    ({"id": "a", "token": "a real token", "_r": {"a": []}, "token_expires": 7}, {"id": "a"}),
    ({"id": "a", "token": "dstok", "token_id": "b"}, {"id": "a", "token": "dstok", "token_id": "b"}),
    ({"id": "a", "token": "a real token", "token_id": "b"}, {"id": "a", "token_id": "b"}),
    ({"id": "a", "token_id": "b" * 1000}, {"id": "a"}),
    ({"id": "\udc80", 7: "no text"}, {"id": "\\udc80"}),
    ({"id": float("nan")}, {"id": "NaN"}),
]


@pytest.mark.parametrize(("actor", "received"), ACTORS)
def test_part_of_an_actor_that_is_sent(actor: object, received: object) -> None:
    """A message has what may be exported, as JSON can carry it. The worker hashes what is to be hashed."""
    keys = ("*", "-email", "hidden:drop", "secret:mask", "hashed:hash")
    with tasks_of(Host(Settings(secret=(SECRET,), actor=keys, privacy_key="key"))) as tasks:
        with acting_as(actor):  # type: ignore[arg-type]
            tasks.see.delay()
        tasks.run(tasks.sent[0])
        assert tasks.seen == [received]


def test_actor_that_is_too_large(tasks: Tasks, warnings: pytest.LogCaptureFixture) -> None:
    """The id of the actor is sent, and what there is room for. An id that is too large is not."""
    actor = {"bio": "x" * 10_000, "name": "Ada", "id": "root"}
    for each in (actor, {"id": "x" * 10_000}, {"id": "\N{GRINNING FACE}" * 340} | {str(n): "ä" * n for n in range(99)}):
        with acting_as(each):
            tasks.see.delay()
    assert max(len(str(message[HEADER])) for message in tasks.sent) < MAX_HEADER_LENGTH / 2
    for message in tasks.sent:
        tasks.run(message)
    assert tasks.seen[:2] == [{"id": "root", "name": "Ada"}, {}]
    assert [record.getMessage() for record in ours(warnings)] == [integration.CUT]


def test_names_that_are_too_long(tasks: Tasks, warnings: pytest.LogCaptureFixture) -> None:
    """The task is sent without an actor."""
    noise = "".join(str(uuid.uuid4()) for _ in range(1000))
    with acting_as(ROOT):
        tasks.see.apply_async(task_id=noise)
    tasks.run(tasks.sent[0])
    assert tasks.seen == [None]
    assert [record.getMessage() for record in ours(warnings)] == [integration.TOO_LONG]


class Failing(dict[str, object]):
    """An actor whose code fails."""

    def items(self) -> Any:
        raise RuntimeError("no items")


def test_failures_cost_the_actor_alone(tasks: Tasks, host: Host, warnings: pytest.LogCaptureFixture) -> None:
    """The producer and the worker go on, and the log says why there is no actor."""
    with acting_as(lambda: 1 / 0):  # type: ignore[arg-type,return-value]
        tasks.see.delay()
    with acting_as(Failing(id="root")):
        tasks.see.delay()
    for message in tasks.sent:
        tasks.run(message)
    assert tasks.seen == [None, {}]
    message = signed(tasks)
    host.sign = host.unsign = lambda *_: 1 / 0  # type: ignore[method-assign,assignment]
    with acting_as(ROOT):
        tasks.see.delay()
    tasks.run(tasks.sent[-1])
    tasks.run(message)
    assert tasks.seen[2:] == [None, None]
    assert len(ours(warnings)) == 4


def test_any_actor_is_sent(tasks: Tasks) -> None:
    """A message has an actor of any keys and values, within the bounds."""

    # Lists of more values take seconds to draw, and are treated as those of fewer.
    @given(
        st.dictionaries(
            st.text(), st.recursive(st.none() | st.text() | st.integers() | st.floats(), st.lists, max_leaves=10)
        )
    )
    @settings(deadline=None)
    def send(actor: dict[str, object]) -> None:
        with acting_as(actor):
            tasks.see.delay()
        message = tasks.sent.pop()
        assert len(message[HEADER]) <= MAX_HEADER_LENGTH
        tasks.run(message)
        assert isinstance(tasks.seen.pop(), dict)

    send()


def test_tasks_of_every_kind_have_their_sender(tmp_path: Path) -> None:
    """The tasks run in a real worker with the pool that is Celery's default."""
    send_tasks(tmp_path)
    assert_each_task_has_its_sender(tmp_path, "prefork")


def test_host_that_is_none_is_an_error_at_the_start() -> None:
    """Else each task would be an error."""
    with pytest.raises(TypeError, match=r"the argument `host` must be a heliograph\.Host, .*, not None"):
        init_app(celery.Celery(), None)  # type: ignore[arg-type]
