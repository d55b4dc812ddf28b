"""Sends requests to an OTLP server, over HTTP or gRPC, and decides what each response means.

- `destination`, `endpoint`, `environment`, `exporter_variables`: the server and the options of the connection, from the standard environment.
- `contract`: the interface of both transports; `http`, `grpc`, `connect`: the two implementations, with all of the I/O.
- `response`, `verdict`: the meaning of a response; pure functions.
- `open`: chooses the transport for a destination.
"""
