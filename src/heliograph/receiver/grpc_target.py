"""Forward calls over gRPC. Messages are passed on unchanged in both directions, with the metadata and the status of the call.

Threads: any thread may call `GrpcTarget.call`; a channel of gRPC is thread-safe.
"""

from __future__ import annotations

from typing import Any, Final

import grpc  # type: ignore[import-untyped]

from heliograph.receiver.signals import MAX_REQUEST_BYTES
from heliograph.receiver.target import MAX_RESPONSE_BYTES, TARGET_TIMEOUT_SECONDS, Target, passed_metadata

_OPTIONS: Final = (
    ("grpc.max_send_message_length", MAX_REQUEST_BYTES),
    ("grpc.max_receive_message_length", MAX_RESPONSE_BYTES),
    # Without a limit, gRPC may take two minutes to notice that the target runs again.
    ("grpc.max_reconnect_backoff_ms", 1000),
)


class GrpcTarget:
    """A server that calls are forwarded to.

    Args:
        target: Its address.
    """

    def __init__(self, target: Target) -> None:
        if target.scheme == "https":
            self._channel = grpc.secure_channel(target.address, grpc.ssl_channel_credentials(), _OPTIONS)
        else:
            self._channel = grpc.insecure_channel(target.address, _OPTIONS)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def call(self, method: str, body: bytes, context: Any) -> bytes:
        """Forward a call, and return the encoded response.

        Args:
            method: The full name of the method.
            body: The encoded message.
            context: The context of the call that was received. Its metadata is passed on to the target. The trailing metadata, and the
                code and details of an error, are set in it.

        Raises:
            grpc.RpcError: The target rejected the call, or cannot be reached. The context already has the code.
        """
        remaining = context.time_remaining()
        timeout = TARGET_TIMEOUT_SECONDS if remaining is None else min(remaining, TARGET_TIMEOUT_SECONDS)
        metadata = passed_metadata(context.invocation_metadata())
        try:
            response, call = self._channel.unary_unary(method).with_call(body, timeout, metadata)
        except grpc.RpcError as error:
            end: Any = error
            context.set_code(end.code())
            context.set_details(end.details() or "")
            context.set_trailing_metadata(passed_metadata(end.trailing_metadata() or ()))
            raise
        context.set_trailing_metadata(passed_metadata(call.trailing_metadata() or ()))
        return bytes(response)
