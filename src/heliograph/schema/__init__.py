"""From an event class to a frozen schema, and from an event to attributes."""
