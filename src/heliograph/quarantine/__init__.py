"""The quarantine: an SQLite file of invalid events, which are kept there until they are replayed or purged.

`record` defines what is kept of an event, `store` is the file, and `replay` prepares a kept event to be emitted again.
"""
