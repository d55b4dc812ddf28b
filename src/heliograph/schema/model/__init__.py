"""The model of an event class: frozen data that every other part of the schema reads."""
