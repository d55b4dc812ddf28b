# Uses first registered handler (default)
token = await datasette.create_token("user123")

# Uses a specific handler by name
token = await datasette.create_token(
    "user123", handler="database"
)

# Verification tries all handlers
actor = await datasette.verify_token(token)
