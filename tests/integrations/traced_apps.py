"""The examples with request spans of heliograph (`…_with_spans`), and beside an instrumentation that trusts `traceparent`.

OpenTelemetry's instrumentations of Flask, Django and FastAPI are made of the two that are used here, for WSGI and for ASGI.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware as InstrumentedAsgi
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware as InstrumentedWsgi

from heliograph.integrations.asgi import HeliographMiddleware


def __getattr__(name: str) -> Any:
    """Make the application that a server asks for, and no other one: each example makes a host."""
    framework, _, kind = name.partition("_")
    if framework not in MAKERS:
        raise AttributeError(name)
    application = MAKERS[framework](is_traced=kind == "with_spans")
    globals()[name] = application  # servers ask several times
    return application


def make_starlette(*, is_traced: bool) -> Any:
    starlette_app = importlib.import_module("starlette_app")
    if is_traced:
        return HeliographMiddleware(starlette_app.app, starlette_app.host, request_span=True)
    return InstrumentedAsgi(starlette_app.app)


def make_fastapi(*, is_traced: bool) -> Any:
    from fastapi import FastAPI

    fastapi_app = importlib.import_module("fastapi_app")
    if not is_traced:
        return fastapi_app.app
    # Newer versions have spans of their own.
    has_spans = "telemetry" in inspect.signature(FastAPI).parameters
    app = FastAPI(lifespan=fastapi_app.lifespan, **({"telemetry": {"tracing": False}} if has_spans else {}))  # type: ignore[arg-type]
    app.add_middleware(HeliographMiddleware, host=fastapi_app.host, request_span=True)
    app.include_router(fastapi_app.app.router)
    return app


def make_flask(*, is_traced: bool) -> Any:
    from heliograph.integrations.flask import init_app

    flask_app = importlib.import_module("flask_app")
    if is_traced:
        flask_app.app.wsgi_app = flask_app.app.wsgi_app.wsgi  # without the instrumentation
        init_app(flask_app.app, flask_app.host, request_span=True)
    return flask_app.app


def make_django(*, is_traced: bool) -> Any:
    application = _django_application("get_wsgi_application", is_traced=is_traced)
    return application if is_traced else InstrumentedWsgi(application)


def make_asgi_django(*, is_traced: bool) -> Any:
    application = _django_application("get_asgi_application", is_traced=is_traced)
    return application if is_traced else InstrumentedAsgi(application)


def _django_application(maker: str, *, is_traced: bool) -> Any:
    django_app = importlib.import_module("django_app")
    from heliograph.integrations.django import HeliographMiddleware as DjangoMiddleware

    class MiddlewareWithSpans(DjangoMiddleware):
        request_span = True

    globals()["MiddlewareWithSpans"] = MiddlewareWithSpans
    if is_traced:
        django_app.settings.MIDDLEWARE[-1] = f"{__name__}.MiddlewareWithSpans"
    return getattr(django_app, maker)()


MAKERS = {
    "starlette": make_starlette,
    "fastapi": make_fastapi,
    "flask": make_flask,
    "django": make_django,
    "asgidjango": make_asgi_django,
}
