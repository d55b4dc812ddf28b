"""Hide the secrets in variables: header values, passwords, keys, and queries of URLs.

A value is shown only if its variable is known to contain no secret. All others are shown as `HIDDEN`, because a vendor's variable may be a
credential.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from heliograph.delivery.transport.endpoint import shown_endpoint

HIDDEN: Final = "(set, not shown)"

_SIGNAL: Final = r"((TRACES|METRICS|LOGS)_)?"
_PLAIN: Final = re.compile(
    rf"OTEL_EXPORTER_OTLP_{_SIGNAL}(PROTOCOL|TIMEOUT|COMPRESSION|INSECURE|CERTIFICATE|CLIENT_CERTIFICATE|CLIENT_KEY)"
    r"|OTEL_(TRACES|METRICS|LOGS)_EXPORTER|OTEL_TRACES_SAMPLER(_ARG)?|OTEL_SERVICE_NAME|OTEL_SDK_DISABLED|OTEL_PROPAGATORS"
    r"|OTEL_(BSP|BLRP|METRIC_EXPORT)_\w+|OTEL_\w+_LIMIT|OTEL_CONFIG_FILE|OTEL_PYTHON_ID_GENERATOR|DATASETTE_LOAD_PLUGINS"
    r"|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|no_proxy",
    re.IGNORECASE,
)
_URL: Final = re.compile(rf"OTEL_EXPORTER_OTLP_{_SIGNAL}ENDPOINT|(https?|all)_proxy", re.IGNORECASE)
_NAMES_ONLY: Final = re.compile(rf"OTEL_EXPORTER_OTLP_{_SIGNAL}HEADERS|OTEL_RESOURCE_ATTRIBUTES")
_SHORTEST_SECRET: Final = 4
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")


def is_shown(variable: str) -> bool:
    """Return True if a variable is listed in the report, because it belongs to the set-up of telemetry. Its value may be hidden."""
    return variable.startswith("OTEL_") or any(each.fullmatch(variable) for each in (_PLAIN, _URL))


def shown_variable(variable: str, value: str) -> str:
    """Return the value of a variable without secrets."""
    if _PLAIN.fullmatch(variable):
        return value
    if _URL.fullmatch(variable):
        return shown_endpoint(value)
    return shown_names(value) if _NAMES_ONLY.fullmatch(variable) else HIDDEN


def secrets_of(environ: Mapping[str, str]) -> list[str]:
    """Return the values of hidden variables, whole and word by word. They are removed from the messages of servers and plugins."""
    hidden = [
        value
        for name, value in environ.items()
        if _NAMES_ONLY.fullmatch(name) or (is_shown(name) and shown_variable(name, value) == HIDDEN)
    ]
    words = {word for value in hidden for word in (value, *re.split(r"[,=\s]", value))}
    return sorted(word for word in words if len(word) >= _SHORTEST_SECRET)


def shown_names(pairs: str) -> str:
    """Return a list of ``name=value`` without its values.

    A part without a name is hidden completely. It may be a secret in base64, which ends in ``=`` as if it were a name.

    >>> shown_names("authorization=Bearer abc,x-team=7")
    'authorization=…, x-team=…'
    """
    parts = (part.strip().partition("=") for part in pairs.split(",") if part.strip())
    return ", ".join(f"{name}=…" if _NAME.fullmatch(name) and value.strip("= ") else HIDDEN for name, _, value in parts)
