"""The module that Datasette loads as a plugin. It has the hooks of `plugin`, or none if this Datasette cannot run them.

Without this module, each command of an older Datasette would end with an ImportError, ``datasette --version`` included: ``pip
install datasette`` installs one, because pip ignores pre-releases.
"""

from __future__ import annotations

import logging

from datasette.version import __version__

from heliograph.integrations.datasette.supported_version import is_supported, version_problem
from heliograph.semconv import SCOPE

if is_supported(__version__):
    try:
        from heliograph.integrations.datasette.plugin import (  # noqa: F401 — pluggy finds the hooks here
            actor_from_request,
            asgi_wrapper,
            menu_links,
            prepare_jinja2_environment,
            register_actions,
            register_events,
            register_routes,
            register_token_handler,
            shutdown,
            startup,
            track_event,
        )
    except ImportError as error:
        # A later Datasette lacks something that the plugin uses.
        logging.getLogger(SCOPE).warning("heliograph does nothing, because Datasette %s lacks: %s", __version__, error)
else:
    logging.getLogger(SCOPE).warning("heliograph does nothing: %s", version_problem(__version__))
