from datasette import hookimpl
import json


@hookimpl
def startup(datasette):
    async def inner():
        db = datasette.get_database("events")
        await db.execute_write("""
            create table if not exists datasette_events (
                id integer primary key,
                event_type text,
                created text,
                actor text,
                properties text
            )
        """)

    return inner


@hookimpl
def track_event(datasette, event):
    async def inner():
        db = datasette.get_database("events")
        properties = event.properties()
        await db.execute_write(
            """
            insert into datasette_events (event_type, created, actor, properties)
            values (?, strftime('%Y-%m-%d %H:%M:%S', 'now'), ?, ?)
        """,
            (
                event.name,
                json.dumps(event.actor),
                json.dumps(properties),
            ),
        )

    return inner
