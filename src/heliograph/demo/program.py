"""The forum as a program: it exports its telemetry as the environment configures. Run it with ``python -m``.

The last line on stdout is a JSON object with what was done: numbers, the id of the token, and ``flushed``: true if the exporters
delivered everything. With the argument ``--until-killed``, it imports posts instead, prints their number, and then waits to be killed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from heliograph import Host, Settings, Validation, configure
from heliograph.demo import forum

POSTS = 500
"""The number of posts that are imported during the outage."""
UNTIL_KILLED = "--until-killed"
"""The argument for the outage."""


def main(arguments: list[str]) -> int:
    """Run the forum once, and print what was done."""
    if UNTIL_KILLED in arguments:
        import_until_killed()
    else:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(run_forum(Path(folder))))
    return 0


def run_forum(folder: Path) -> dict[str, object]:
    """Let everything happen that the forum has, and return what was done. Its files are in the folder."""
    settings = Settings.from_env(
        config={
            "validation": Validation.QUARANTINE.value,
            "quarantine": str(folder / "quarantine.db"),
            "token_handlers": "database",
            "token_database": str(folder / "tokens.db"),
        }
    )
    with configure(settings, events=forum.EVENTS) as host:
        forum.ban(host)
        forum.sign_up(host)
        forum.vote(host)
        token_id = asyncio.run(forum.use_token(host))
        flushed = host.flush()
    about_tokens = 4  # created, first used, revoked, rejected
    return {
        "events": 1 + 1 + 1 + 2 + about_tokens,
        "span_events": 1,
        "token_operations": 1 + 3,
        "invalid_events": 1,
        "token_events": 2,
        "token_rejections": 1,
        "token": token_id,
        "flushed": flushed,
    }


def import_until_killed() -> None:
    """Track events into the outbox that the environment names, and wait for the end of this process."""
    host: Host
    with configure(events=forum.EVENTS) as host:
        forum.import_posts(host, POSTS)
        print(POSTS, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
