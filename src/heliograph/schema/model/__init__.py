"""The model of an event class: frozen data that every other part of the schema reads.

Nothing here reads an event, and nothing here imports the code that does.
"""
