"""Encode log records and spans as OTLP bytes: pure functions that accept any value.

The bytes are exactly those of OpenTelemetry's own encoder (`opentelemetry.exporter.otlp.proto.common`), wherever that encoder
does not fail. The tests compare the two, and `benchmarks/encode.py` measures them side by side.

Why not use that encoder:

- It builds protobuf objects and then serializes them. That takes five times the CPU time for flat attributes, which events
  have, and three times for nested ones; a record is encoded before `emit` returns, on the application's thread.
- It encodes a whole batch and fails as a whole: one value that it cannot encode loses every record of the batch.
- It makes requests, not records. The journal stores single records as bytes, and joins them into requests later.

Where OpenTelemetry's encoder fails, only the value concerned takes another form:

=========================================  ===========================================================================
value                                      form
=========================================  ===========================================================================
text with lone surrogates                  with their escapes (`heliograph.values.text.escape_surrogates`)
an `int` beyond 64 bits                    text (`heliograph.values.scalars.integer_form`)
any other value that OTLP has no type for  its documented form (`heliograph.values.forms.form_of`)
a key that is not text                     the text of that form, or its JSON
a container inside itself                  ``<cycle>``
a value nested too deeply for receivers    ``<too deep>``: protobuf's parsers accept 100 nested messages, which gives an
                                           attribute 47 lists or 31 maps inside each other, and a body one more
more than 1,048,576 values inside one      the first of them, and ``<too large>``
a time, an id or flags out of their range  omitted, which OTLP reads as unknown
=========================================  ===========================================================================

Protobuf's wire format (tags, varints, lengths) is in `heliograph.delivery.protobuf`; names such as
``_BODY`` in these modules are tags, from opentelemetry-proto
(https://github.com/open-telemetry/opentelemetry-proto/tree/main/opentelemetry/proto).
"""
