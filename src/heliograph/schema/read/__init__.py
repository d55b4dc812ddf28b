"""Reading an event by its schema: attributes, validation, coverage."""
