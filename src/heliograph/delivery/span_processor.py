"""A span processor that stores each sampled span on disk when it ends, and sends it until a server accepts it.

`heliograph.delivery.processor` has everything that it shares with the processor of log records.
"""

from __future__ import annotations

from typing import ClassVar, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import TraceFlags

from heliograph.delivery.encoding.spans import encode_span
from heliograph.delivery.processor import OutboxProcessor
from heliograph.delivery.signals import TRACES
from heliograph.errors import OutboxFull
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE

_SAMPLED: Final = TraceFlags.SAMPLED
_log: Final = LimitedLog(SafeLogger(SCOPE))


class OutboxSpanProcessor(OutboxProcessor, SpanProcessor):
    """Stores each sampled span on disk before `on_end` returns, and sends it from a background thread until it is accepted.

    A span that has ended survives the death of the process. The next process that uses the directory sends it, or
    ``heliograph outbox drain``. Add one to a `TracerProvider` of the SDK, as the last processor: one that is added later and changes
    spans in `on_end`, to hide personal data for example, comes too late::

        tracer_provider.add_span_processor(OutboxSpanProcessor("/var/lib/my-app/outbox"))

    It has the arguments and errors of `OutboxProcessor`. It may share its directory with an `OutboxLogRecordProcessor`. Ending a span never
    raises an exception, whatever `strict` is: a span that the outbox does not accept is counted and logged.
    """

    _signal = TRACES
    has_only_outbox: ClassVar[bool] = True
    """True: the spans of a provider that has no other processor go to an outbox, and nowhere else."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing: a span is stored when it has ended."""

    def on_end(self, span: ReadableSpan) -> None:
        """Store a span. When this returns, the span survives the death of the process, or was counted as rejected.

        A span that is not sampled is not stored, as in the SDK's processors.
        """
        try:
            context = span.context
            # The property `sampled` would be one more call.
            if context is not None and context.trace_flags & _SAMPLED:
                self.append(span.resource, span.instrumentation_scope, encode_span(span))
        except OutboxFull:
            # It was counted and logged.
            return
        # `end` is called at the end of each `with`, perhaps while an exception of the program passes, which ours must not replace.
        except Exception as error:
            _log.log(type(error).__name__, "A span could not be stored (%s).", error)
