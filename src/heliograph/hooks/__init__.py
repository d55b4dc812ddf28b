"""The plugin hooks: their specifications, the plugin manager, and the calls of the hook `track_event` for each event."""
