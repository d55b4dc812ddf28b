"""The quarantine: an SQLite file of invalid events, which are kept there until they are replayed or purged.

`record` is an invalid event as data, `store` is the file, and `replay` prepares an event in it for being emitted again.
"""
