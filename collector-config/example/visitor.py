"""Visit the forum of `examples/fastapi_app.py` and a Datasette, so that there is telemetry to look at.

Each round bans a user and lifts the ban, writes a row, and presents a token that is rejected: one trace through three services, with
four events. The variables FORUM_URL and DATASETTE_URL say where the services are. HELIOGRAPH_SECRET, which they know too, signs the
token. The arguments are the number of rounds and the seconds between two of them; 0 rounds have no end.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from itertools import count

from opentelemetry import propagate, trace

from heliograph import configure

NAMES = ("spambot", "cleverbot", "troll")
TIMEOUT_SECONDS = 10


def post(url, token, body=None):
    """Send a request in the current trace, and return the status of the response, or None if there is none."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    propagate.inject(headers)
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            return response.status
    except urllib.error.HTTPError as rejected:
        return rejected.code
    except OSError:
        return None


def visit(number, token):
    """Do one round, and return the statuses of the responses."""
    forum, datasette = os.environ["FORUM_URL"], os.environ["DATASETTE_URL"]
    name = NAMES[number % len(NAMES)]
    return [
        post(f"{forum}/users/{name}/ban", token),
        post(f"{forum}/users/{name}/unban", token),
        post(f"{datasette}/forum/-/create", token, {"table": "bans", "row": {"id": number, "name": name}, "pk": "id"}),
        post(f"{forum}/users/{name}/ban", token[:-1]),
    ]


def main(rounds=0, pause=2.0):
    host = configure()
    with host:
        token = host.call(host.create_token, "visitor")
        for number in count(time.time_ns()):
            with trace.get_tracer("visitor").start_as_current_span("visit"):
                print(*visit(number, token), flush=True)
            rounds -= 1
            if rounds == 0:
                break
            time.sleep(pause)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
