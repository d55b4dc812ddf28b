"""Run the blocks of a page as its readers do: in an empty folder, in one shell, with servers that keep running."""

from __future__ import annotations

import os
import re
import select
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from typing_extensions import Self

import heliograph
from backends import free_port, wait_until
from documentation.blocks import Block, commands_of
from documentation.output import Expectations
from processes import clean_environment

PACKAGE = Path(heliograph.__file__).parent
TIMEOUT_SECONDS = 120.0
_STATUS = re.compile(r"# exits with (\d+)$")
_FAILED = "Traceback (most recent call last)"


@dataclass(frozen=True)
class Server:
    """A program that runs until Ctrl-C.

    Attributes:
        command: A pattern of the commands that run it.
        ports: Its options that name a port, each with the port that it has by default.
        ready: The texts that it has printed when it can be used.
    """

    command: str
    ports: tuple[tuple[str, str], ...]
    ready: tuple[str, ...]


_ASSIGNMENTS = r"(?:\w+=\S+ )*"
SERVERS = (
    Server(r"heliograph tail\b(?!.*--help)", (("--port", "4318"), ("--grpc-port", "4317")), ("Receiving OTLP at",)),
    Server(
        r"datasette (?!.*(?:--get|--version|--help))(?!install|plugins|create-token)",
        (("--port", "8001"),),
        ("Uvicorn running on", "Application startup complete"),
    ),
    Server(r"uvicorn ", (("--port", "8000"),), ("Uvicorn running on", "Application startup complete")),
    Server(r"gunicorn ", (("--bind", "127.0.0.1:8000"),), ("Listening at", "Booting worker")),
    Server(r"python manage\.py runserver\b", (("--noreload", "8000"),), ("Quit the server with",)),
)
PORTS = ("4317", "4318", "4400", "4401", "8000", "8001")


@dataclass(frozen=True)
class Running:
    """A server that runs: its command as the page has it, its process group, and the file with what it prints."""

    command: str
    group: int
    output: Path

    def printed(self) -> str:
        return self.output.read_text(encoding="utf-8", errors="replace")

    def assert_no_traceback_of(self, *folders: Path) -> None:
        """Fail if the server has printed a traceback with code of these folders, while it ran or when it ended.

        Other programs have tracebacks of their own: a worker of gunicorn prints one of gevent if two signals end it.
        """
        printed = self.printed()
        found = [str(folder) for folder in folders if f'File "{folder}/' in printed]
        assert not (_FAILED in printed and found), f"{self.command}\n{printed}"


class Session:
    """A shell in a folder, for the blocks of one page.

    Servers have free ports in place of those of the page. Once `heliograph tail` runs, it is the endpoint of programs that are
    started without one, as it would be by its own port.
    """

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder / "folder"
        self.folder.mkdir()
        self._outputs = folder / "outputs"
        self._outputs.mkdir()
        self.expectations = Expectations()
        for port in PORTS:
            self.expectations.replace(port, str(free_port()))
        self._running: dict[Server, Running] = {}
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            env=self._environment(variables),
        )
        # With job control, each server is a process group of its own, and Ctrl-C has an effect on it.
        self._ask("set -m; echo")

    def _environment(self, variables: dict[str, str]) -> dict[str, str]:
        defaults = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_BLRP_SCHEDULE_DELAY": "200",
            "DATASETTE_LOAD_PLUGINS": "heliograph",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_PLUGINS": "pytest_heliograph",
            "NO_PROXY": "127.0.0.1,localhost",
        }
        return clean_environment(**{**defaults, **variables})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            # The receiver is started first, and ends last.
            ended = [self._end(server) for server in reversed(list(self._running))]
        finally:
            self._shell.kill()
            self._shell.wait()
            for stream in (self._shell.stdin, self._shell.stdout):
                assert stream is not None
                stream.close()
        for each in ended:
            each.assert_no_traceback_of(self.folder, PACKAGE)

    def export(self, name: str, value: str) -> None:
        """Set a variable of the shell."""
        self._ask(f"export {name}={shlex.quote(value)}; echo")

    def run(self, blocks: list[Block]) -> None:
        """Run the blocks in order. Blocks of Python that are no files are one program, which runs first."""
        blocks = [each for each in blocks if each.not_run is None]
        program = [each for each in blocks if each.language == "python" and not each.file]
        if program:
            self._run_program(program)
        for block in blocks:
            if block.file:
                self._write(block)
            elif block.language == "console":
                for command, printed in commands_of(block):
                    self._command(block, command, printed)

    def _run_program(self, blocks: list[Block]) -> None:
        """Run the blocks in one process. Their lines have the numbers that they have in the page."""
        lines: list[str] = []
        for block in blocks:
            lines += [""] * (block.line - len(lines))
            lines += self.expectations.to_actual(block.content).splitlines()
        (self._outputs / "page.py").write_text("\n".join(lines), encoding="utf-8")
        status, printed = self._execute(f"python {self._outputs / 'page.py'}")
        assert status == 0, printed

    def _write(self, block: Block) -> None:
        assert block.file is not None
        file = self.folder / block.file
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a" if block.continues else "w", encoding="utf-8") as stream:
            stream.write(self.expectations.to_actual(block.content))

    def _command(self, block: Block, command: str, documented: list[str]) -> None:
        for server in SERVERS:
            if re.match(_ASSIGNMENTS + server.command, command):
                self._serve(server, command, documented)
                return
        status, printed = self._execute(self.expectations.to_actual(command))
        expected = _STATUS.search(command)
        assert status == int(expected[1] if expected else 0), (block.line, command, printed)
        assert _FAILED not in printed or _FAILED in "".join(documented), (block.line, command, printed)
        if documented:
            self.expectations.assert_printed(documented, printed)

    def _execute(self, command: str) -> tuple[int, str]:
        """Return the exit status of a command, and what it printed."""
        output = self._next_output()
        status = self._ask(f"{{ {command}\n}} >{output} 2>&1 </dev/null; echo $?")
        return int(status), output.read_text(encoding="utf-8", errors="replace")

    def _serve(self, server: Server, command: str, documented: list[str]) -> None:
        """Start the server, or look at what it has printed by now, if it runs already by the same command.

        The last line `^C` ends it.
        """
        running = self._running.get(server)
        if running is not None and running.command != command:
            self._stop(server)
            running = None
        running = running or self._start(server, command)
        self._await(running, [line for line in documented if line != "^C"])
        if "^C" in documented:
            self._stop(server)

    def _await(self, running: Running, documented: list[str]) -> None:
        """Wait until the server has printed the lines of the page."""

        def is_complete() -> bool:
            return self.expectations.are_in(documented, running.printed())

        try:
            wait_until(lambda: is_complete() or not self._is_alive(running), timeout_seconds=TIMEOUT_SECONDS)
        finally:
            assert is_complete(), "\n".join([running.command, *documented, "", running.printed()])

    def _is_alive(self, running: Running) -> bool:
        return self._ask(f"kill -0 -- -{running.group} 2>/dev/null; echo $?") == "0"

    def _start(self, server: Server, command: str) -> Running:
        output = self._next_output()
        options = " ".join(f"{name} {value}" for name, value in server.ports if name not in command)
        actual = self.expectations.to_actual(f"{command} {options}")
        group = int(self._ask(f"{actual} >{output} 2>&1 </dev/null & echo $!"))
        running = self._running[server] = Running(command, group, output)
        if "4318" in dict(server.ports).values():
            endpoint = self.expectations.to_actual("http://127.0.0.1:4318")
            self._ask(f"export OTEL_EXPORTER_OTLP_ENDPOINT=${{OTEL_EXPORTER_OTLP_ENDPOINT:-{endpoint}}}; echo")
        self._await(running, [f"…{text}…" for text in server.ready])
        return running

    def _stop(self, server: Server) -> None:
        """Press Ctrl-C, wait for the end, and fail if the server has printed a traceback of ours or of the page's programs."""
        self._end(server).assert_no_traceback_of(self.folder, PACKAGE)

    def _end(self, server: Server) -> Running:
        running = self._running.pop(server)
        self._ask(f"kill -INT -- -{running.group}; wait {running.group}; echo $?")
        return running

    def _next_output(self) -> Path:
        output = self._outputs / f"{len(list(self._outputs.iterdir()))}.txt"
        output.touch()
        return output

    def _ask(self, line: str) -> str:
        """Give the shell a line that prints one line, and return that."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{line}\n".encode())
        self._shell.stdin.flush()
        ready, _, _ = select.select([self._shell.stdout], [], [], TIMEOUT_SECONDS)
        assert ready, f"does not end: {line}"
        return self._shell.stdout.readline().decode().strip()
