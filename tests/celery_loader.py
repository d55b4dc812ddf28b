"""Celery's loader for programs of the tests, which puts `filebroker` in place of kombu's `filesystem://`.

Programs load it because of a variable, so an example is run as its readers have it. The broker is imported with the first connection:
earlier, Celery has not yet replaced `time.sleep` for gevent and eventlet.
"""

from __future__ import annotations

from typing import Final

from celery.loaders.app import AppLoader
from kombu.transport import TRANSPORT_ALIASES

FILE_BROKER: Final = {"CELERY_LOADER": f"{__name__}:{AppLoader.__name__}"}
"""Variables for a program in whose PYTHONPATH the folder of this module is."""

TRANSPORT_ALIASES["filesystem"] = "filebroker:Transport"
