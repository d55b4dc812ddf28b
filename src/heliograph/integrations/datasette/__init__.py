"""heliograph as a plugin of Datasette.

- `plugin`: the hooks, and the order of events in a Datasette process. It is the entry point that Datasette loads.
- `instance_state`: settings, schemas and telemetry of one `Datasette` object.
- `distributions`: the namespace of events of installed plugins.
- `process_providers`: OpenTelemetry's global providers, which belong to the process.
- `request_actor`: the actor of the current request, for events that name no actor.
"""
