"""Keep the newest events of a Datasette in a small SQLite file, for its page ``/-/heliograph``.

- `record`: an event in the file.
- `store`: the file, bounded in rows and bytes.
- `recorder`: writes events to the file, without delaying the code that tracks them.

The file contains only values that are exported: the attributes of the log record, after privacy was applied. It is not part of
delivery: an event that is missing here may have been delivered, and an event in it may be lost.
"""
