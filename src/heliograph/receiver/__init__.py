"""An OTLP receiver, over HTTP and gRPC, which only this machine can reach: for `heliograph tail`, `heliograph demo` and tests, not for production.

`server` (HTTP) and `grpc_server` receive requests, decode them, and pass each to a function that keeps it (`contract`) before they
acknowledge it. Instead of responding themselves, they can forward each request to another server (`target`, `http_target`,
`grpc_target`). `memory`, `budget` and `object_count` limit the memory of all requests in progress.
"""
