"""The functions that the servers call, for HTTP and gRPC alike: one keeps a request before it is acknowledged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from heliograph.receiver.signals import OtlpRequest

LOOPBACK: Final = "127.0.0.1"
"""The only address that the receiver listens at."""
RETRY_AFTER_SECONDS: Final = 1
"""The time after which a client may repeat a request that was not kept."""

Keep: TypeAlias = Callable[[OtlpRequest], None]
"""Keeps a request, such as by storing it. When it returns, the request is acknowledged.

It raises `NotKept` if the client should send the request again. Several threads may call it at the same time.
"""

Missed: TypeAlias = Callable[[Exception], None]
"""Called with the exception if a forwarded request, which the target has accepted, could not be kept here.

The client gets the target's response all the same. Several threads may call it at the same time.
"""


class NotKept(Exception):
    """A request cannot be kept now. The client should send it again later."""


def ignore(_: Exception) -> None:
    """Do nothing. This is the `Missed` of servers that do not forward."""
