"""Compile an event class into its schema, once, when it is registered.

A mistake in a class is reported here, by a `SchemaError` that names the class and the fix, and never by an event.
"""
