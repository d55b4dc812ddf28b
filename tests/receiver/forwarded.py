"""A request that is forwarded, the answer to it, and a list of what the receiver keeps meanwhile."""

from __future__ import annotations

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from heliograph.receiver.signals import OtlpRequest
from receiver.requests import log_request

UNKNOWN_FIELD = b"\xfa\x7d\x05later"
"""Field 2015 of a later version of OTLP, with a text."""
BODY = log_request("app.one", user__id="ada").SerializeToString() + UNKNOWN_FIELD
PARTIAL = ExportLogsServiceResponse()
PARTIAL.partial_success.rejected_log_records = 1
PARTIAL_SUCCESS = PARTIAL.SerializeToString() + UNKNOWN_FIELD


class Kept(list[OtlpRequest]):
    """The requests that were kept, and the reasons why others were not. If `error` is set, it is raised instead."""

    def __init__(self) -> None:
        super().__init__()
        self.missed: list[Exception] = []
        self.error: Exception | None = None

    def __call__(self, request: OtlpRequest) -> None:
        if self.error is not None:
            raise self.error
        self.append(request)
