"""A small OTLP/HTTP receiver that stores telemetry in an SQLite file. For demos and tests, not for production.

`server` receives requests, `rows` converts them to rows of tables, and `store` is the file. `recordings` reads events from such
a file, or from a file that a Collector wrote.
"""
