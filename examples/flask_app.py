"""A Flask app: `HELIOGRAPH_SECRET=… flask --app examples/flask_app.py run`, or `gunicorn --pythonpath examples flask_app:app`."""

import forum
from flask import Flask, abort, g, request, stream_with_context
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware

from heliograph import TokenInvalid, configure
from heliograph.integrations.flask import init_app

host = configure(plugins=[forum])

app = Flask(__name__)
app.wsgi_app = OpenTelemetryMiddleware(app.wsgi_app)
init_app(app, host)


@app.before_request
def authenticate():
    """Make the owner of the token the actor of the events that the request tracks."""
    if request.authorization is None or not request.authorization.token:
        abort(401)
    try:
        g.actor = host.verify(request.authorization.token)
    except TokenInvalid as rejected:
        abort(401, rejected.message)
    if g.actor is None:
        abort(401, "Unknown token")


@app.post("/users/<username>/ban")
def ban(username):
    host.track(forum.BanUserEvent(user={"username": username}))
    return {"banned": username}


@app.post("/users/<username>/unban")
async def unban(username):
    await host.track_event(forum.UnbanUserEvent(user={"username": username}))
    return {"unbanned": username}


@app.post("/users/ban")
def ban_many():
    """Ban users, and stream their names."""

    @stream_with_context
    def bans():
        for username in request.args.getlist("username"):
            host.track(forum.BanUserEvent(user={"username": username}))
            yield f"{username}\n"

    return bans()
