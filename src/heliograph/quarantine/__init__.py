"""Invalid events that were set aside: the record, the SQLite store, and replay."""
