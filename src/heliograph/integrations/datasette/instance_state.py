"""What the plugin keeps for each Datasette instance."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from datasette.tokens import TokenHandler, TokenInvalid

from heliograph.errors import SchemaError, SettingsError
from heliograph.instrumentation import Instrumentation
from heliograph.semconv import SCOPE
from heliograph.settings import Settings, Validation
from heliograph.telemetry.providers import Providers
from heliograph.tokens.traced import trace_handlers

if TYPE_CHECKING:
    from datasette.app import Datasette

PLUGIN_NAME: Final = "heliograph"

logger: Final = logging.getLogger(SCOPE)


class InstanceState:
    """The settings, schemas and telemetry of one Datasette.

    Args:
        datasette: The Datasette.

    Raises:
        SettingsError: The environment, or its configuration of the plugin, cannot be used.
    """

    def __init__(self, datasette: Datasette) -> None:
        self.settings = Settings.from_env(config=datasette.plugin_config(PLUGIN_NAME))
        if self.settings.validation is Validation.STRICT:
            raise SettingsError(
                [
                    "validation: 'strict' would turn a write that is done into an error; in Datasette, take 'quarantine' or 'warn'"
                ]
            )
        instrumentation = Instrumentation(self.settings, Providers())
        self.schemas, self.emit = instrumentation.schemas, instrumentation.emit
        self._tokens = instrumentation.tokens

    def register(self, event_classes: Iterable[type]) -> None:
        """Compile the schemas; a class that has none is told in a warning, and goes out untyped."""
        for event_class in event_classes:
            try:
                self.schemas.register(event_class)
            except SchemaError as error:
                logger.warning("%s. Its events go out untyped, by their properties().", error)
                self.schemas.register_untyped(event_class)

    def traced(self, handlers: Iterable[object]) -> list[object]:
        """The token handlers, traced; those built on heliograph's base class are made Datasette's as well."""
        return trace_handlers(handlers, self._tokens, base=TokenHandler, rejection_class=TokenInvalid)


_instances: weakref.WeakKeyDictionary[Datasette, InstanceState] = weakref.WeakKeyDictionary()


def state_of(datasette: Datasette) -> InstanceState:
    """The instance of a Datasette, made when it is asked for first.

    Raises:
        SettingsError: See `InstanceState`.
    """
    instance = _instances.get(datasette)
    if instance is None:
        instance = _instances[datasette] = InstanceState(datasette)
    return instance
