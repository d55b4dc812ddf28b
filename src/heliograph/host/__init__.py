"""A host for any Python program: `Host`, and the parts that it is made of. In Datasette, `heliograph.integrations.datasette` is the host.

At the top of `host` are the path of an event, the path of a token, and what threads may do.
`heliograph.instrumentation` is no part of this package, because both kinds of host have it.
"""

from heliograph.host.host import Host

__all__ = ["Host"]
