"""Send requests to an OTLP server, over HTTP or gRPC, and decide what each response means.

The transports do all of the I/O, and keep one `contract`. The meaning of a response, and the checks of addresses, are pure functions.
"""
