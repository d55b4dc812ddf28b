"""``heliograph tail``: receive telemetry, and print each event as it arrives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from heliograph.cli.json_option import json_option
from heliograph.cli.seconds import Seconds
from heliograph.cli.tail_filter import ArrivalFilter

if TYPE_CHECKING:
    from heliograph.receiver.target import Target


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=4318,
    show_default=True,
    help="The port of OTLP over HTTP, on 127.0.0.1. 0 means a free port.",
)
@click.option(
    "--grpc-port",
    type=click.IntRange(0, 65535),
    help="The port of OTLP over gRPC, on 127.0.0.1. 0 means a free port. Default: 4317, if it is free.",
)
@click.option(
    "--event",
    "names",
    metavar="NAME",
    multiple=True,
    help="Print only events, or spans of tokens, of this name. `*` and `?` are wildcards: `app.*`.",
)
@click.option("--actor", "actors", metavar="ID", multiple=True, help="Print only what this actor caused.")
@click.option(
    "--trace",
    "traces",
    metavar="ID",
    multiple=True,
    help="Print only what belongs to this trace; its first digits suffice.",
)
@json_option("each event as a JSON object in one line")
@click.option(
    "--database",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Also store everything in DIR/events.db, with queries for Datasette: `datasette DIR`.",
)
@click.option(
    "--forward",
    metavar="URL",
    help="Forward every request, unchanged, to the OTLP server at this URL, and return its response.",
)
@click.option(
    "--forward-grpc",
    metavar="URL",
    help="The URL for requests over gRPC. Default: the URL of --forward, with port 4317 in place of 4318.",
)
@click.option(
    "--await",
    "awaited",
    metavar="NAME",
    help="End with status 0 when such an event arrives, and with 1 if the command ends before that. --actor and --trace apply.",
)
@click.option(
    "--timeout",
    type=Seconds(min_open=True),
    metavar="SECONDS",
    help="The longest time to wait for the event of --await.",
)
def tail(
    port: int,
    *,
    grpc_port: int | None,
    names: tuple[str, ...],
    actors: tuple[str, ...],
    traces: tuple[str, ...],
    as_json: bool,
    folder: Path | None,
    forward: str | None,
    forward_grpc: str | None,
    awaited: str | None,
    timeout: float | None,
) -> None:
    """Receive OTLP on 127.0.0.1, and print each event as it arrives.

    A line has the time in UTC, the name of the event, the actor, the body, and the ids of the trace and of the token. The spans of
    operations on tokens have lines, too, with the result in place of the body. An event that arrives both as a log record and
    as a span event has one line.

    A program sends here with OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318, which is the default of most exporters.

    The options --event, --actor and --trace can be repeated. An event must match one value of each option that is given.
    """
    # Imported here, because gRPC takes a while to import, and most commands do not need it.
    from heliograph.cli.tail_session import TailOptions, run

    http_target = _target(forward, "--forward")
    grpc_target = _target(forward_grpc, "--forward-grpc") or (http_target and http_target.for_grpc())
    if forward_grpc is not None and forward is None:
        raise click.UsageError("--forward-grpc belongs to --forward")
    if timeout is not None and awaited is None:
        raise click.UsageError("--timeout belongs to --await")
    if awaited == "":
        raise click.UsageError("--await needs the name of an event")
    permits = ArrivalFilter(names=names, actors=actors, traces=tuple(each.lower() for each in traces))
    run(
        TailOptions(
            port=port,
            grpc_port=grpc_port,
            permits=permits,
            as_json=as_json,
            folder=folder,
            forward=http_target,
            forward_grpc=grpc_target,
            awaited=replace(permits, names=(awaited,)) if awaited is not None else None,
            timeout=timeout,
        )
    )


def _target(url: str | None, option: str) -> Target | None:
    # Imported here for the same reason.
    from heliograph.delivery.transport.endpoint import shown_endpoint
    from heliograph.receiver.target import Target

    try:
        return None if url is None else Target.from_url(url)
    except ValueError as error:
        raise click.UsageError(f"{option} {shown_endpoint(url or '')}: {error}") from error
