"""The newest events of a Datasette, for its page ``/-/heliograph``: what was emitted, as it was emitted, in a small SQLite file.

- `record`: an event as it is kept.
- `store`: the file, bounded in rows and bytes.
- `recorder`: keeps events without delaying those who track them.

The file holds what telemetry carries, and nothing else: the attributes of the log record, after privacy was applied. It is no part of
delivery: an event that is missing here may have been delivered, and the reverse.
"""
