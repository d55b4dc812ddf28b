"""heliograph as a plugin of Datasette."""
