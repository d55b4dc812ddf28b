"""An OTLP/gRPC server on 127.0.0.1. It keeps requests by the same `Keep` as the server for HTTP.

Threads: gRPC reads requests in threads of its own, and hands each to one of `WORKERS` threads, which calls `Keep`. gRPC reads the next
request when a thread is free, so requests in memory are limited in number, and by `MAX_REQUEST_BYTES` in size.

Source: OTLP specification 1.7, section OTLP/gRPC.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc  # type: ignore[import-untyped]
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from typing_extensions import Self

from heliograph.receiver.contract import LOOPBACK, RETRY_AFTER_SECONDS, Keep, Missed, NotKept, ignore
from heliograph.receiver.grpc_target import GrpcTarget
from heliograph.receiver.memory import Memory, RequestMemory
from heliograph.receiver.object_count import TooManyObjects, decode_protobuf
from heliograph.receiver.signals import MAX_REQUEST_BYTES, SIGNALS, OtlpSignal

WORKERS: Final = 8
"""The number of requests that are decoded and kept at the same time."""
CLOSE_SECONDS: Final = 10
"""The time that `GrpcServer.close` gives to requests in progress, before it cancels them."""

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    # Otherwise two receivers could share a port, and each would get some of the requests.
    ("grpc.so_reuseport", 0),
)


class GrpcServer:
    """A server on a port of 127.0.0.1. Use it in a ``with`` block, which starts and closes it.

    Args:
        keep: Keeps a request, before it is acknowledged.
        port: The port; 0 for a free one.
        target: The server that every call is forwarded to, of whatever method. The client gets the target's response, and `keep` each
            request that the target has accepted. `None` if this server responds itself.
        missed: Called if the target has accepted a request that cannot be decoded or kept here.
        memory: Limits the memory of all requests in progress. Several servers may share one.

    Attributes:
        endpoint: The address that exporters send to, such as ``127.0.0.1:4317``.

    Raises:
        OSError: The port is in use, or may not be used.
    """

    def __init__(
        self,
        keep: Keep,
        port: int = 0,
        target: GrpcTarget | None = None,
        *,
        missed: Missed = ignore,
        memory: Memory | None = None,
    ) -> None:
        with socket.create_server((LOOPBACK, port)):
            # This raises OSError with the cause. gRPC would print the cause, and raise an exception without it.
            pass
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="heliograph-grpc")
        memory = Memory() if memory is None else memory
        methods = _Methods(keep, memory) if target is None else _Forwarded(keep, target, missed, memory)
        self._server = grpc.server(self._workers, handlers=[methods], options=_OPTIONS)
        self.endpoint = f"{LOOPBACK}:{self._server.add_insecure_port(f'{LOOPBACK}:{port}')}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Accept no more requests, and wait until those in progress have their responses."""
        self._server.stop(CLOSE_SECONDS).wait()
        self._workers.shutdown()


class _Methods(grpc.GenericRpcHandler):  # type: ignore[misc]  # gRPC is untyped
    """The methods of the three services. gRPC answers UNIMPLEMENTED to all others."""

    def __init__(self, keep: Keep, memory: Memory) -> None:
        self._methods = {
            signal.grpc_method: grpc.unary_unary_rpc_method_handler(_method(signal, keep, memory)) for signal in SIGNALS
        }

    def service(self, handler_call_details: Any) -> Any:
        return self._methods.get(handler_call_details.method)


class _Forwarded(grpc.GenericRpcHandler):  # type: ignore[misc]  # gRPC is untyped
    """All methods, forwarded to a target."""

    def __init__(self, keep: Keep, target: GrpcTarget, missed: Missed, memory: Memory) -> None:
        self._keep = keep
        self._target = target
        self._missed = missed
        self._memory = memory
        self._signals = {signal.grpc_method: signal for signal in SIGNALS}

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method
        return grpc.unary_unary_rpc_method_handler(lambda body, context: self._forward(method, body, context))

    def _forward(self, method: str, body: bytes, context: Any) -> bytes:
        try:
            with self._memory.request() as memory:
                memory.reserve_bytes(len(body))
                response = self._target.call(method, body, context)
                self._keep_accepted(method, body, memory)
        except grpc.RpcError:
            # The context has the code, so no message is sent.
            return b""
        except NotKept as error:
            _ask_again(context, error)
            return b""
        return response

    def _keep_accepted(self, method: str, body: bytes, memory: RequestMemory) -> None:
        """Keep a request that the target has accepted.

        Nothing is raised, so that the client does not send the request again. The target may know kinds of requests that are unknown here.
        """
        if (signal := self._signals.get(method)) is None:
            self._missed(LookupError(f"{method} is not a method for logs, traces or metrics"))
            return
        try:
            self._keep(decode_protobuf(signal, body, memory))
        except Exception as error:
            self._missed(error)


def _method(signal: OtlpSignal, keep: Keep, all_memory: Memory) -> Callable[[bytes, Any], bytes]:
    """Return the function that handles the calls of a signal. Its argument and its result are encoded messages."""

    def export(body: bytes, context: Any) -> bytes:
        try:
            with all_memory.request() as memory:
                memory.reserve_bytes(len(body))
                keep(decode_protobuf(signal, body, memory))
        except DecodeError as error:
            _fail(context, grpc.StatusCode.INVALID_ARGUMENT, f"the message is not an OTLP request: {error}")
        except TooManyObjects as error:
            _fail(context, grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        except NotKept as error:
            _ask_again(context, error)
        except Exception as error:
            _fail(context, grpc.StatusCode.INTERNAL, f"the request cannot be kept: {type(error).__name__}")
        return signal.response_class().SerializeToString()

    return export


def _fail(context: Any, code: grpc.StatusCode, message: str) -> None:
    context.set_code(code)
    context.set_details(message)


def _ask_again(context: Any, error: NotKept) -> None:
    context.set_trailing_metadata([("grpc-status-details-bin", _retry_status(str(error)))])
    _fail(context, grpc.StatusCode.UNAVAILABLE, str(error))


def _retry_status(message: str) -> bytes:
    """Return the details of an error that asks the client to send the request again."""
    status = Status(code=grpc.StatusCode.UNAVAILABLE.value[0], message=message)
    status.details.add().Pack(RetryInfo(retry_delay=Duration(seconds=RETRY_AFTER_SECONDS)))
    return status.SerializeToString()  # type: ignore[no-any-return]
