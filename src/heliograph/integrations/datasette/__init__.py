"""heliograph as a plugin of Datasette.

- `entry_point`: the module that Datasette loads. It has the hooks of `plugin`, or none if Datasette is too old.
- `plugin`: the hooks, and the order of events in a Datasette process.
- `instance_state`: settings, schemas and telemetry of one `Datasette` object.
- `token_tracker`: tracks the events of tokens.
- `created_tokens`: keeps the event of a new token until the request ends, or until Datasette's own event about it is tracked.
- `page`: the pages `/-/heliograph` and `/-/heliograph/tokens`.
- `supported_version`: the versions of Datasette that the plugin works with.
- `distributions`: the namespace of events of installed plugins.
- `process_providers`: OpenTelemetry's global providers, which belong to the process.
- `request_actor`: the actor of the current request, for events that name no actor.
- `routes`: the route of a request, for events that have it as an attribute.
"""
