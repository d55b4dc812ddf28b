"""Emit an event to traces: as a span event on the current span, or as a span without duration where no span is recording.

Threads: any number of threads, and signal handlers, may emit at once, without a lock. The fields that change are caches
(`_span_event_limits`, `_traces_are_set`) and facts about the logger, which is found once (`use`): two threads that find a cache
empty do the work twice, which is harmless.
"""

from __future__ import annotations

from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import get_current_span

from heliograph.runtime.program_errors import program_errors
from heliograph.semconv import EVENT_NAME, LOG_RECORD_UID
from heliograph.settings import Settings, Signal, SpanEventContent
from heliograph.telemetry.emit_failures import EmitFailures
from heliograph.telemetry.encoded_events import Encoded
from heliograph.telemetry.interrupted_span import is_interrupted
from heliograph.telemetry.limits import Limits, limits_of_span_events, limits_of_spans
from heliograph.telemetry.missing_providers import MissingProviders
from heliograph.telemetry.otel_api import Logger
from heliograph.telemetry.providers import Providers
from heliograph.telemetry.span_event_bridge import has_bridge
from heliograph.values.attributes import Attributes

# Dicts are slower with keys of a subclass of str.
_UID: Final = str(LOG_RECORD_UID)
_EVENT_NAME: Final = str(EVENT_NAME)


class TraceEmitter:
    """Emits events as span events and spans, by the settings.

    Args:
        settings: The signals, and the content of span events.
        providers: The OpenTelemetry providers that telemetry goes to.
        missing: Reports events that are not emitted for lack of a provider.
        failures: Reports events that the provider failed to emit.

    Attributes:
        is_enabled: True if the signals have span events or spans.
    """

    def __init__(
        self, settings: Settings, providers: Providers, missing: MissingProviders, failures: EmitFailures
    ) -> None:
        self._providers = providers
        self._missing = missing
        self._failures = failures
        self._emits_span_event = Signal.SPAN_EVENT in settings.signals
        self._emits_span = Signal.SPAN in settings.signals
        self.is_enabled = self._emits_span_event or self._emits_span
        self._has_no_log_signal = Signal.LOG not in settings.signals
        # The signal that failures are reported for.
        self._signal = Signal.SPAN_EVENT if self._emits_span_event else Signal.SPAN
        self._emits_reference = settings.span_event is SpanEventContent.REFERENCE
        self._has_records = False
        self._has_bridge = False
        # The SDK's limits of the last span, and ours for them.
        self._span_event_limits: tuple[object, Limits] = (self, Limits())
        self._traces_are_set = False

    def use(self, logger: Logger) -> None:
        """Note that the events have log records, too, and whether its provider makes span events of them."""
        self._has_bridge = has_bridge(logger)
        self._has_records = True

    def emit(  # noqa: PLR0917 — called for each event
        self,
        event_name: str,
        attributes: Attributes,
        uid: str,
        timestamp: int,
        context: Context,
        encoded: Encoded | None,
    ) -> None:
        """Emit an event. A failure of a provider is reported, and raises nothing.

        Args:
            event_name: Its name on the wire.
            attributes: Its attributes; not all of them if the event is encoded.
            uid: Its unique id.
            timestamp: Its time in nanoseconds.
            context: The context with the current span.
            encoded: The event as bytes, after its log record was emitted; `None` if it is not encoded.
        """
        try:
            span = get_current_span(context)
            if self._emits_span_event and span.is_recording():
                if self._has_bridge:
                    return
                if is_interrupted(span):
                    raise BlockingIOError("a signal has interrupted a method of the span")
                if encoded is not None and not self._emits_reference:
                    log, _, key_values = encoded
                    log.add_span_event(span, event_name, key_values, timestamp)
                    return
                # Without a log record, nothing else would have the attributes.
                if self._emits_reference and self._has_records:
                    attributes = {_UID: uid}
                # A copy: the log record may share the attributes, and must not have the name as an attribute.
                attributes = {**attributes, _EVENT_NAME: event_name}
                limits = self._limits_of_span_events(span)
                if len(attributes) > limits.count or limits.length is not None:
                    attributes = limits.apply(attributes)
                span.add_event(event_name, attributes, timestamp)
            elif self._has_traces() and self._emits_span:
                tracer = self._providers.tracer()
                attributes = limits_of_spans(tracer).apply(attributes)
                tracer.start_span(event_name, context, attributes=attributes, start_time=timestamp).end(timestamp)
        except program_errors() as error:
            # A provider's own code may raise anything.
            self._failures.report(self._signal, error)

    def _limits_of_span_events(self, span: object) -> Limits:
        # Spans of one provider share one object. The last one is kept, since deriving the limits takes longer than this.
        known, limits = self._span_event_limits
        found = getattr(span, "_limits", None)
        if found is not known:
            limits = limits_of_span_events(found)
            self._span_event_limits = (found, limits)
        return limits

    def _has_traces(self) -> bool:
        if not self._traces_are_set:
            self._traces_are_set = self._providers.has_traces()
        if not self._traces_are_set:
            # No span event is lost, because without a provider no span records. But events without another signal are lost.
            is_lost = self._emits_span or self._has_no_log_signal
            self._missing.report(self._signal, "TracerProvider", is_lost=is_lost)
        return self._traces_are_set
