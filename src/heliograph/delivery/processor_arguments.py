"""The check of the arguments of an outbox processor, which a program may make itself."""

from __future__ import annotations

from os import PathLike
from types import NoneType
from typing import Final

from heliograph.arguments import A_FLAG, check_argument, wrong_argument
from heliograph.delivery.transport.destination import Destination
from heliograph.settings import OutboxFullPolicy, OutboxWrite

MAX_BYTES: Final = 2**30
"""The default size that an outbox may reach."""

_A_PATH: Final = 'a path, such as "/var/lib/my-app/outbox"'
_A_DESTINATION: Final = "an object of Destination, or None for that of the OTEL_* variables"
_A_POLICY: Final = "one of OutboxFullPolicy, such as OutboxFullPolicy.DROP_OLDEST"


def check_processor_arguments(
    *,
    directory: object,
    destination: object,
    transport: object,
    max_bytes: int,
    when_full: object,
    durable: object,
    write: object,
    strict: object,
) -> None:
    """Check the arguments of `heliograph.delivery.processor.OutboxProcessor`, before it creates a file or starts a thread.

    Raises:
        TypeError: An argument has a wrong type.
        ValueError: `max_bytes` is below 1, or `directory` is an empty text.
    """
    check_argument("directory", directory, (str, PathLike), _A_PATH)
    check_argument("destination", destination, (Destination, NoneType), _A_DESTINATION)
    if transport is not None and not callable(getattr(transport, "send", None)):
        raise wrong_argument("transport", transport, "a transport, with a method send()")
    check_argument("max_bytes", max_bytes, int, f"a whole number of bytes, such as {MAX_BYTES}")
    check_argument("when_full", when_full, OutboxFullPolicy, _A_POLICY)
    check_argument("durable", durable, bool, A_FLAG)
    check_argument("write", write, OutboxWrite, "one of OutboxWrite, such as OutboxWrite.MAP")
    check_argument("strict", strict, bool, A_FLAG)
    if max_bytes < 1:
        raise ValueError(f"the argument `max_bytes` must be above 0, such as {MAX_BYTES}")
    # An empty text would mean the current directory.
    if directory == "":
        raise ValueError(f"the argument `directory` is empty; write {_A_PATH}")
