"""A small OTLP/HTTP receiver that stores telemetry in an SQLite file. For demos and tests, not for production.

`server` receives requests, `rows` turns them into rows, `store` is the file, and `recordings` reads events back, from
such a file or from a Collector's.
"""
