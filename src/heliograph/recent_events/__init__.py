"""Keep the newest events of a Datasette in a small SQLite file, for its page ``/-/heliograph``.

The file contains only values that are exported: the attributes of the log record, after privacy was applied. It is not part of
delivery: an event that is missing here may have been delivered, and an event in it may be lost.
"""
