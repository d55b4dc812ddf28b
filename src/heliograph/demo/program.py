"""The forum as a program. It exports its telemetry as the environment configures. Run it with ``python -m``.

The last line on its standard output is a JSON object: the numbers of events, spans and operations on tokens, the id of the token, and
``flushed``, which is true if the exporters delivered everything. With the argument ``--until-killed``, the program imports posts instead,
prints their number, and waits until it is killed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from heliograph import Host, Settings, Validation, configure
from heliograph.demo import forum
from heliograph.testing import Captured, capture

POSTS = 500
"""The number of posts that are imported during the outage."""
UNTIL_KILLED = "--until-killed"
"""The argument for the chapter about the outage."""


def main(arguments: list[str]) -> int:
    """Run the forum, and print the numbers of what it did."""
    if UNTIL_KILLED in arguments:
        import_until_killed()
    else:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(run_forum(Path(folder))))
    return 0


def run_forum(folder: Path) -> dict[str, object]:
    """Track all events of the forum, use a token, and return the numbers of both. Its files are in the folder."""
    settings = Settings.from_env(
        config={
            "validation": Validation.QUARANTINE.value,
            "quarantine": str(folder / "quarantine.db"),
            "token_handlers": "database",
            "token_database": str(folder / "tokens.db"),
        }
    )
    with configure(settings, events=forum.EVENTS) as host, capture(host) as captured:
        forum.ban(host)
        forum.sign_up(host)
        forum.vote(host)
        token_id = asyncio.run(forum.use_token(host))
        flushed = host.flush()
    return {**_numbers(captured), "token": token_id, "flushed": flushed}


def _numbers(captured: Captured) -> dict[str, int]:
    """Return the numbers of what the program did. They are counted before any provider or exporter has a part in it."""
    emitted = [each for each in captured.events if not each.is_in_quarantine]
    return {
        "events": len(emitted),
        # Only the bans happen in a span that is still open.
        "span_events": len(captured.of(forum.BanUser)),
        "token_operations": len(captured.tokens),
        "invalid_events": len(captured.events) - len(emitted),
        "token_events": len(captured.of(forum.DeletePost)),
        "token_rejections": sum(1 for each in captured.tokens if each.result == "revoked"),
    }


def import_until_killed() -> None:
    """Track events into the outbox that the environment names, print their number, and wait until this process is killed."""
    host: Host
    with configure(events=forum.EVENTS) as host:
        forum.import_posts(host, POSTS)
        print(POSTS, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
