"""The run of ``heliograph tail``: the receiver of both protocols, and what happens to each request.

This module imports gRPC, which takes a while; `heliograph.cli.tail` imports it when the command runs.
"""

from __future__ import annotations

import errno
import signal
import sqlite3
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import click

from heliograph.cli.tail_awaited import Awaited
from heliograph.cli.tail_filter import ArrivalFilter
from heliograph.cli.tail_lines import json_line, text_line
from heliograph.cli.tail_printer import LinePrinter
from heliograph.cli.terminal import echo, tolerate_encoding
from heliograph.receiver.contract import LOOPBACK
from heliograph.receiver.datasette_folder import open_folder
from heliograph.receiver.grpc_server import GrpcServer
from heliograph.receiver.grpc_target import GrpcTarget
from heliograph.receiver.http_target import HttpTarget
from heliograph.receiver.memory import Memory
from heliograph.receiver.server import HttpServer
from heliograph.receiver.shared_transactions import SharedTransactions
from heliograph.receiver.signals import OtlpRequest
from heliograph.receiver.store import Store
from heliograph.receiver.target import Target
from heliograph.values.text import counted

GRPC_PORT: Final = 4317
"""The port of OTLP over gRPC, if the command names none."""

_Server = TypeVar("_Server")


@dataclass(frozen=True, kw_only=True)
class TailOptions:
    """The options of the command.

    Attributes:
        port: The port of OTLP over HTTP; 0 for a free one.
        grpc_port: The port of OTLP over gRPC; 0 for a free one, `None` for the usual one, if it is free.
        permits: The filter of what is printed.
        as_json: True to print JSON.
        folder: The folder for the database; `None` for none.
        forward: The server that requests over HTTP are forwarded to; `None` for none.
        forward_grpc: The server that calls over gRPC are forwarded to; `None` for none.
        awaited: The filter of the arrival that ends the command; `None` if nothing does.
        timeout: The time to wait for it, in seconds; `None` for no limit.
    """

    port: int
    grpc_port: int | None
    permits: ArrivalFilter
    as_json: bool
    folder: Path | None
    forward: Target | None
    forward_grpc: Target | None
    awaited: ArrivalFilter | None
    timeout: float | None


def run(options: TailOptions) -> None:
    """Receive and print until the awaited event arrives, or until the user, a service manager or the reader of the output ends the command.

    Raises:
        SystemExit: The awaited event has not arrived. The status is 1.
        click.ClickException: A port, the database or the standard output cannot be used.
    """
    tolerate_encoding()
    # A service manager stops a program by SIGTERM. As a KeyboardInterrupt, it ends the wait below.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    session = _Session(options)
    try:
        with ExitStack() as servers:
            session.open(servers)
            session.ended.wait(options.timeout)
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
        session.printer.close()
    session.report()


class _Session:
    """A run of the command.

    Attributes:
        ended: Set when the command should end.
        printer: Prints what arrives.
        awaited: Looks for the awaited arrival; `None` if there is none.
    """

    def __init__(self, options: TailOptions) -> None:
        self.ended = threading.Event()
        self.printer = LinePrinter(options.permits, json_line if options.as_json else text_line, self.ended.set)
        self.awaited = Awaited(options.awaited, self.ended.set) if options.awaited else None
        self._options = options
        self._commits: SharedTransactions | None = None
        self._printed_or_stored = "printed" if options.folder is None else "stored"
        self._memory = Memory()
        self._missed_requests = 0
        self._lock = threading.Lock()  # guards `_missed_requests`

    def open(self, resources: ExitStack) -> None:
        """Open the database and the ports, and print where they are."""
        if self._options.folder is not None:
            # It is opened first, and so closed last: requests in progress are still stored.
            self._commits = resources.enter_context(SharedTransactions(_opened_folder(self._options.folder)))
        endpoints = f"{self._open_http(resources)} (HTTP)"
        if (grpc_endpoint := self._open_grpc(resources)) is not None:
            endpoints += f" and {grpc_endpoint} (gRPC)"
        echo(f"Receiving OTLP at {endpoints}. Ctrl-C ends it.", err=True)
        if (target := self._options.forward) and (grpc_target := self._options.forward_grpc):
            echo(f"Forwarding to {target.address} (HTTP) and {grpc_target.address} (gRPC).", err=True)
        if self._options.folder is not None:
            echo(f"To look at what is stored: datasette {self._options.folder}", err=True)

    def keep(self, request: OtlpRequest) -> None:
        """Store a request, if there is a database, and show it.

        Raises:
            NotKept: It is not stored.
        """
        if self._commits is not None:
            self._commits.keep(request)
        if self.awaited is not None:
            self.awaited.look(request)
        self.printer.show(request)

    def count_missed(self, error: Exception) -> None:
        """Count a request that the target has accepted, and that is not stored or, without a database, not printed."""
        with self._lock:
            self._missed_requests += 1
            is_first = self._missed_requests == 1
        if is_first:
            # The reader of a pipe may have ended. The client still gets the target's response.
            with suppress(OSError):
                echo(f"Not {self._printed_or_stored}, although the target has accepted it: {error}", err=True)

    def report(self) -> None:
        """Print the numbers of lines, and a note if the awaited event did not arrive."""
        missing = f" {counted(self.printer.not_shown, 'line')} not printed." if self.printer.not_shown else ""
        echo(f"{counted(self.printer.shown, 'line')} printed.{missing}", err=True)
        if self._missed_requests:
            echo(
                f"{counted(self._missed_requests, 'request')} not {self._printed_or_stored} that the target has accepted.",
                err=True,
            )
        if (failure := self.printer.failure) is not None:
            raise click.ClickException(f"the standard output cannot be written: {failure.strerror}")
        if self._options.awaited and self.awaited and not self.awaited.has_arrived:
            echo(f"{', '.join(self._options.awaited.names)} did not arrive.", err=True)
            raise SystemExit(1)

    def _open_http(self, resources: ExitStack) -> str:
        """Open the server of HTTP, and return its endpoint."""
        port, target = self._options.port, self._options.forward
        http_target = None
        if target is not None:
            _check_loop(target, port)
            http_target = resources.enter_context(closing(HttpTarget(target)))
        server = _opened(
            lambda port: HttpServer(self.keep, port, http_target, missed=self.count_missed, memory=self._memory),
            port,
            option="--port",
        )
        return resources.enter_context(server).endpoint

    def _open_grpc(self, resources: ExitStack) -> str | None:
        """Open the server of gRPC, and return its endpoint; `None` if the usual port cannot be used."""
        try:
            return self._open_grpc_port(resources, GRPC_PORT if (port := self._options.grpc_port) is None else port)
        except click.ClickException as error:
            if port is not None:
                raise
            echo(f"Not receiving OTLP over gRPC: {error.message}.", err=True)
            return None

    def _open_grpc_port(self, resources: ExitStack, port: int) -> str:
        grpc_target = None
        if (target := self._options.forward_grpc) is not None:
            _check_loop(target, port)
            grpc_target = resources.enter_context(closing(GrpcTarget(target)))
        server = _opened(
            lambda port: GrpcServer(self.keep, port, grpc_target, missed=self.count_missed, memory=self._memory),
            port,
            option="--grpc-port",
        )
        return resources.enter_context(server).endpoint


def _check_loop(target: Target, port: int) -> None:
    if target.is_own_port(port):
        raise click.ClickException(f"{target.address} is this command's own port: it would forward to itself for ever")


def _opened_folder(folder: Path) -> Store:
    try:
        return open_folder(folder)
    except (OSError, sqlite3.Error) as error:
        raise click.ClickException(f"{folder} cannot be used for the database: {error}") from error


def _opened(open_server: Callable[[int], _Server], port: int, *, option: str) -> _Server:
    """Open a server.

    Raises:
        click.ClickException: The port cannot be opened.
    """
    try:
        return open_server(port)
    except OSError as error:
        reason = (
            "is in use, by a Collector or another receiver"
            if error.errno == errno.EADDRINUSE
            else f"cannot be opened ({error.strerror})"
        )
        raise click.ClickException(f"port {port} of {LOOPBACK} {reason}; choose another with {option}") from error
