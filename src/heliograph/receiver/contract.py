"""The contract between the servers and their owner: a function that keeps a request before it is acknowledged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from heliograph.receiver.signals import OtlpRequest

LOOPBACK: Final = "127.0.0.1"
"""The only address that the receiver listens at."""
RETRY_AFTER_SECONDS: Final = 1
"""The time after which a client may send a request again that was not kept."""

Keep: TypeAlias = Callable[[OtlpRequest], None]
"""Keeps a request. When it returns, the request is acknowledged. It is called by several threads at the same time.

It raises `NotKept` if the client should send the request again.
"""

Missed: TypeAlias = Callable[[Exception], None]
"""Called with the reason why a forwarded request that the target has accepted is not kept. Several threads call it at the same time."""


class NotKept(Exception):
    """A request cannot be kept in time. Its client should keep it, and send it again."""


def ignore(_: Exception) -> None:
    """Do nothing: the `Missed` of servers that do not forward."""
