"""From an event class to its schema."""
