"""heliograph as a plugin of Datasette, which loads `entry_point`; `plugin` has the hooks, and the order of events in a Datasette process."""
