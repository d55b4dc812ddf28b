"""The run of ``heliograph tail``: a receiver, and what happens to each request that it receives.

This module imports protobuf, which takes a while; `heliograph.cli.tail` imports it when the command runs.
"""

from __future__ import annotations

import errno
import signal
import threading
from dataclasses import dataclass

import click

from heliograph.cli.tail_filter import ArrivalFilter
from heliograph.cli.tail_lines import json_line, text_line
from heliograph.cli.tail_printer import LinePrinter
from heliograph.cli.terminal import echo
from heliograph.receiver.server import LOOPBACK, HttpServer
from heliograph.values.text import counted


@dataclass(frozen=True, kw_only=True)
class TailOptions:
    """The options of the command.

    Attributes:
        port: The port of OTLP over HTTP; 0 for a free one.
        permits: The filter of what is printed.
        as_json: True to print JSON.
    """

    port: int
    permits: ArrivalFilter
    as_json: bool


def run(options: TailOptions) -> None:
    """Receive and print until the user, a service manager, or the end of the output's reader ends it."""
    ended = threading.Event()
    # A service manager stops a program by SIGTERM. As a KeyboardInterrupt, it ends the wait below.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    printer = LinePrinter(options.permits, json_line if options.as_json else text_line, ended.set)
    try:
        with _open_server(printer, options.port) as server:
            echo(f"Receiving OTLP at {server.endpoint} (HTTP). Ctrl-C ends it.", err=True)
            ended.wait()
    except KeyboardInterrupt:
        pass
    finally:
        printer.close()
    _report(printer)


def _open_server(printer: LinePrinter, port: int) -> HttpServer:
    try:
        return HttpServer(printer.show, port)
    except OSError as error:
        raise click.ClickException(port_problem(port, error, option="--port")) from error


def port_problem(port: int, error: OSError, *, option: str) -> str:
    """Return the message for a port that cannot be opened."""
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {LOOPBACK} is in use, by a Collector or another receiver; choose another with {option}"
    return f"port {port} of {LOOPBACK} cannot be opened ({error.strerror}); choose another with {option}"


def _report(printer: LinePrinter) -> None:
    missing = f" {counted(printer.not_shown, 'line')} not printed." if printer.not_shown else ""
    echo(f"{counted(printer.shown, 'line')} printed.{missing}", err=True)
