"""Integrations of heliograph with frameworks: ASGI applications, FastAPI, Flask, Django, Celery and Datasette.

Each framework's module is imported by the program that uses the framework. `bearer`, `request_attributes`, `request_span` and `wsgi_span`
are the parts that several of them share.
"""
