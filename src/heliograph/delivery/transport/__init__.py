"""Where to, how, and what an answer means: OTLP over HTTP and gRPC."""
