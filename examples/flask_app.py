"""A Flask app: `HELIOGRAPH_SECRET=… flask --app examples/flask_app.py run`."""

from functools import wraps

import forum
from flask import Flask, abort, request
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware

from heliograph import TokenInvalid, acting_as, configure

host = configure(plugins=[forum])

app = Flask(__name__)
app.wsgi_app = OpenTelemetryMiddleware(app.wsgi_app)


def authenticated(view):
    """Make the owner of the token the actor of the events that the view tracks."""

    @wraps(view)
    def wrapper(**arguments):
        if request.authorization is None or not request.authorization.token:
            abort(401)
        try:
            actor = host.call(host.verify_token, request.authorization.token)
        except TokenInvalid as rejected:
            abort(401, rejected.message)
        if actor is None:
            abort(401, "Unknown token")
        with acting_as(actor):
            return view(**arguments)

    return wrapper


@app.post("/users/<username>/ban")
@authenticated
def ban(username):
    host.track(forum.BanUserEvent(user={"username": username}))
    return {"banned": username}


@app.post("/users/<username>/unban")
@authenticated
def unban(username):
    host.track(forum.UnbanUserEvent(user={"username": username}))
    return {"unbanned": username}
