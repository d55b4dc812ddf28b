"""A script that bans users. The token in FORUM_TOKEN identifies the actor:

export HELIOGRAPH_SECRET=…
export FORUM_TOKEN=$(python examples/script.py create-token root)
python examples/script.py ban spambot cleverbot
"""

import os
import sys

import forum
from opentelemetry import trace

from heliograph import TokenInvalid, acting_as, configure


def create_token(host, actor_id):
    print(host.call(host.create_token, actor_id, expires_after=3600))


def ban(host, *usernames):
    try:
        actor = host.verify(os.environ.get("FORUM_TOKEN", ""))
    except TokenInvalid as rejected:
        return rejected.message
    if actor is None:
        return "Unknown token"
    with acting_as(actor):
        for username in usernames:
            host.track(forum.BanUserEvent(user={"username": username}))
    return 0


COMMANDS = {"create-token": create_token, "ban": ban}

if __name__ == "__main__":
    _, command, *arguments = sys.argv
    with configure(plugins=[forum]) as host, trace.get_tracer("forum").start_as_current_span(command):
        result = COMMANDS[command](host, *arguments)
    sys.exit(result)
