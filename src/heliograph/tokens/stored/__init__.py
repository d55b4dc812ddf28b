"""Tokens in a database: they can be listed, revoked, restricted further and rotated, and each of their uses can be distinguished.

The path of a verification, in `handler`:

1. `token_text`: the prefix, the form and the checksum. A text that is not well-formed costs no query.
2. `cache`: a token that was found a few seconds ago is not looked up again.
3. `store`: one indexed query joins the secret's hash with its token.
4. `record`: revoked, replaced, expired or unused for too long is a rejection; anything else is valid.
5. `usage`: the use is noted in memory, and written at most once a minute. Only the first use of a secret is written at once, and that
   in the background: a request never waits for a write.

`operations` has the functions for programs: `issue`, `revoke`, `revoke_all`, `restrict`, `rotate` and `tokens`.

Where the tables are: in Datasette's internal database, in a Host's, or in a file of their own (``HELIOGRAPH_TOKEN_DATABASE``); never
in a database that Datasette serves, whose tables are public by default. The file is switched to SQLite's write-ahead log, so
that verifications do not wait for a long write of somebody else.

Threads and processes: tokens are verified in any thread and loop. `cache` and `usage` have locks; the database has its own.
A revocation has an effect at once in its process, because it empties the cache, and in other processes after at most
``HELIOGRAPH_TOKEN_CACHE_SECONDS``. Everything that must happen once among processes is one transaction of `store`.
"""
