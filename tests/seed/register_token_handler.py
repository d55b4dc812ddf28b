from datasette import hookimpl, TokenHandler


class DatabaseTokenHandler(TokenHandler):
    name = "database"

    async def create_token(
        self,
        datasette,
        actor_id,
        *,
        expires_after=None,
        restrictions=None
    ):
        # Store token in database and return token string
        ...

    async def verify_token(self, datasette, token):
        # Look up token in database, return actor dict or None
        ...


@hookimpl
def register_token_handler(datasette):
    return DatabaseTokenHandler()
