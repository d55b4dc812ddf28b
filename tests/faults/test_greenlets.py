"""Programs whose threads are greenlets (gevent, eventlet), and loops of uvloop: what they track arrives."""

from __future__ import annotations

import json
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from backends import free_port
from faults.matrix import Row
from otlp_receiver import Receiver
from packages import require
from processes import otlp, program_environment, run, serving
from scripts import PRELUDE

EVENTS = 10

PATCHES = {
    "gevent, patched first": "from gevent import monkey; monkey.patch_all()",
    "gevent, patched after the import": "import heliograph.delivery.processor; from gevent import monkey; monkey.patch_all()",
    "eventlet": "import eventlet; eventlet.monkey_patch()",
}
ENDS = {
    "exit": "host = configure(plugins=[Plugin()]); work()",
    "shutdown": "with configure(plugins=[Plugin()]) as host: work()",
    "flush": "host = configure(plugins=[Plugin()]); work(); assert host.flush(); os._exit(0)",
}
PROGRAM = """
def work():
    for n in range(10):
        host.track(Tick(n=n))

"""


def numbers(receiver: Receiver) -> list[str]:
    return [str(log.attributes["test.tick.n"]) for log in receiver.logs()]


@pytest.mark.parametrize("outbox", [True, False], ids=["outbox", "no outbox"])
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("patch", PATCHES)
def test_program(tmp_path: Path, record_fault: Callable[..., Row], patch: str, end: str, *, outbox: bool) -> None:
    """A program tracks events, flushes, and ends."""
    require(patch.split(",", maxsplit=1)[0])
    variables = {"HELIOGRAPH_OUTBOX": str(tmp_path / "box")} if outbox else {}
    program = "\n".join([PATCHES[patch], PRELUDE, PROGRAM, ENDS[end]])
    with Receiver() as receiver:
        sending = otlp(receiver.endpoint, OTEL_BLRP_SCHEDULE_DELAY="60000", PYTHONWARNINGS="ignore", **variables)
        ended = run([sys.executable, "-c", program], cwd=tmp_path, env=program_environment(**sending))
        assert (ended.returncode, ended.stderr) == (0, "")
        received = numbers(receiver)
    name = f"{patch}, {end}, {'with' if outbox else 'without'} an outbox"
    record_fault(name, acknowledged=[str(n) for n in range(EVENTS)], received=received)


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[Receiver, dict[str, str]]]:
    """A receiver over TLS, and the variables of a program that sends to it from an outbox."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    receiver = Receiver()
    receiver._server.socket = context.wrap_socket(receiver._server.socket, server_side=True)
    variables = otlp(
        receiver.endpoint.replace("http:", "https:"),
        OTEL_EXPORTER_OTLP_CERTIFICATE=str(tmp_path / "ca.pem"),
        OTEL_TRACES_EXPORTER="none",
        OTEL_METRICS_EXPORTER="none",
        HELIOGRAPH_OUTBOX=str(tmp_path / "box"),
        PYTHONWARNINGS="ignore",
    )
    with receiver:
        yield receiver, variables


@pytest.mark.parametrize("patch", ["gevent, patched first", "gevent, patched after the import"])
def test_outbox_over_tls(
    tmp_path: Path, record_fault: Callable[..., Row], tls: tuple[Receiver, dict[str, str]], patch: str
) -> None:
    """The sockets of gevent's TLS keep the deadline, too."""
    require("gevent")
    receiver, variables = tls
    program = "\n".join([PATCHES[patch], PRELUDE, PROGRAM, ENDS["shutdown"]])
    ended = run([sys.executable, "-c", program], cwd=tmp_path, env=program_environment(**variables))
    assert (ended.returncode, ended.stderr) == (0, "")
    record_fault(f"{patch}, TLS", acknowledged=[str(n) for n in range(EVENTS)], received=numbers(receiver))


def test_outbox_over_tls_with_eventlet(tmp_path: Path, tls: tuple[Receiver, dict[str, str]]) -> None:
    """Eventlet's TLS sockets cannot be used: the log names the way out, and the records wait for another process."""
    require("eventlet")
    receiver, variables = tls
    program = "\n".join([PATCHES["eventlet"], PRELUDE, PROGRAM, ENDS["shutdown"]])
    ended = run([sys.executable, "-c", program], cwd=tmp_path, env=program_environment(**variables))
    assert "TLS sockets of eventlet have no deadline" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert numbers(receiver) == []

    ended = run(
        [sys.executable, "-m", "heliograph", "outbox", "drain"], cwd=tmp_path, env=program_environment(**variables)
    )
    assert ended.returncode == 0, ended.stderr
    assert sorted(numbers(receiver)) == [str(n) for n in range(EVENTS)]


ASYNC_HOOKS = """
import asyncio

class Async:
    @hookimpl
    def startup(self):
        async def inner():
            await asyncio.sleep(0.01)
            report(started=True)
        return inner

    @hookimpl
    def track_event(self, datasette, event):
        async def inner():
            await asyncio.sleep(0.01)
            database = datasette.get_internal_database()
            await database.execute_write("create table if not exists seen (n integer)")
            await database.execute_write("insert into seen values (?)", [event.n])
        return inner

async def program():
    await asyncio.sleep(0.01)
    return "the program's own loop"

def seen():
    rows = host.call(host.get_internal_database().execute, "select n from seen")
    return [row["n"] for row in rows]

host = configure(plugins=[Plugin(), Async()])
host.track(Tick(n=0))
assert asyncio.run(program())  # while a loop of the host runs
for n in range(1, 10):
    host.track(Tick(n=n))
assert host.flush()
report(seen=seen(), own=asyncio.run(program()))
assert host.shutdown()
report(threads=[thread.name for thread in threading.enumerate() if thread.name.startswith("heliograph")])
"""
LOOPS = {
    **{name: patch for name, patch in PATCHES.items() if name != "eventlet"},
    "uvloop": "import uvloop; uvloop.install()",
    "threads": "",
}


@pytest.mark.parametrize("loops", LOOPS)
def test_async_hooks(tmp_path: Path, record_fault: Callable[..., Row], loops: str) -> None:
    """Async hooks run on the host's own loop, and the program's own `asyncio.run` works beside it."""
    if loops != "threads":
        require(loops.split(",", maxsplit=1)[0])
    with Receiver() as receiver:
        environment = otlp(receiver.endpoint, OTEL_BLRP_SCHEDULE_DELAY="60000", PYTHONWARNINGS="ignore")
        command = [sys.executable, "-c", "\n".join([LOOPS[loops], PRELUDE, ASYNC_HOOKS])]
        ended = run(command, cwd=tmp_path, env=program_environment(**environment))
        assert (ended.returncode, ended.stderr) == (0, "")
        received = numbers(receiver)
    started, events, threads = map(json.loads, ended.stdout.splitlines())
    assert started == {"started": True}
    assert events == {"seen": list(range(EVENTS)), "own": "the program's own loop"}
    assert threads == {"threads": []}
    record_fault(f"{loops}, async hooks", acknowledged=[str(n) for n in range(EVENTS)], received=received)


APPLICATION = """
host = configure(plugins=[Plugin()])

def application(environ, start_response):
    host.track(Tick(n=int(environ["QUERY_STRING"])))
    start_response("200 OK", [("Content-Length", "2")])
    return [b"{}"]
"""


@pytest.mark.parametrize("outbox", [True, False], ids=["outbox", "no outbox"])
@pytest.mark.parametrize("preload", [True, False], ids=["preload", "no preload"])
def test_gunicorn(tmp_path: Path, record_fault: Callable[..., Row], *, preload: bool, outbox: bool) -> None:
    """Workers of the class `gevent` patch in each worker, which is after `configure` with `--preload`."""
    require("gevent")
    (tmp_path / "web.py").write_text(PRELUDE + APPLICATION)
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--worker-class", "gevent", "--bind", f"127.0.0.1:{port}", "web"]
    command += ["--preload"] if preload else []
    variables = {"HELIOGRAPH_OUTBOX": str(tmp_path / "box")} if outbox else {}
    with Receiver() as receiver:
        environment = program_environment(**otlp(receiver.endpoint, **variables))
        with serving(command, port=port, log=tmp_path / "log", env=environment, cwd=tmp_path) as server:
            assert [server.get(f"/?{n}").status for n in range(EVENTS)] == [200] * EVENTS
            assert server.stop() == 0, server.output()
        received = numbers(receiver)
        assert "was sent SIG" not in server.output()  # no worker crashed
    name = f"gunicorn -k gevent{' --preload' * preload}, {'with' if outbox else 'without'} an outbox"
    record_fault(name, acknowledged=[str(n) for n in range(EVENTS)], received=received)
