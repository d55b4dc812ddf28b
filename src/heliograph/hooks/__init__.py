"""The plugin hooks: their specifications, the plugin manager, and the dispatch of `track_event`."""
