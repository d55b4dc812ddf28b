"""A host for any Python program: `Host`, and the parts that it is made of. In Datasette, `heliograph.integrations.datasette` is the host.

- `host`: `Host`; at its top are the path of an event, the path of a token, and what threads may do.
- `lifetime`: the blocks that a host is in, its flush and its end, and the functions that are called when it ends and begins again.
- `plugin_startup`: the start of its plugins.
- `token_tracker`: tracks the events of tokens.
- `databases`: its databases by name; `database`: one of them, with the interface that plugins know from Datasette.

`heliograph.instrumentation` is not one of them: both kinds of host have it.
"""

from heliograph.host.host import Host

__all__ = ["Host"]
