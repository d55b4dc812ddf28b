"""The quarantine: an SQLite file of invalid events, which are kept there until they are replayed or purged.

`record` is an invalid event as data, and `store` is the file. `queue` puts events into it in a thread; until then they wait in a file of
their process, a `spool`. `replay` prepares an event in the quarantine for being emitted again.
"""
