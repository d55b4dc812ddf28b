await datasette.track_event(
    BanUserEvent(user={"id": 1, "username": "cleverbot"})
)
