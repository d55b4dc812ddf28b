"""The settings, schemas and telemetry that the plugin keeps for each `Datasette` object.

Threads: hooks run in one event loop, so nothing here has a lock.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from datasette.tokens import TokenHandler, TokenInvalid

from heliograph.errors import SchemaError
from heliograph.instrumentation import Instrumentation
from heliograph.integrations.datasette.distributions import namespace_of
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE
from heliograph.settings import Settings, Validation
from heliograph.telemetry.providers import Providers
from heliograph.tokens.traced import trace_handlers

if TYPE_CHECKING:
    from datasette.app import Datasette

PLUGIN_NAME: Final = "heliograph"
"""The plugin's key in Datasette's configuration."""

logger: Final = SafeLogger(SCOPE)


class InstanceState:
    """The settings, schemas and telemetry of one `Datasette` object.

    Args:
        datasette: The `Datasette` object, whose configuration of the plugin is read.

    Raises:
        SettingsError: The environment or the configuration cannot be used; it lists every problem.

    Attributes:
        settings: The settings.
        schemas: The schemas of the registered event classes.
        emit: Emits an event.
    """

    def __init__(self, datasette: Datasette) -> None:
        self.settings = Settings.from_env(config=datasette.plugin_config(PLUGIN_NAME), check=_problems_in_datasette)
        instrumentation = Instrumentation(self.settings, Providers())
        self.schemas, self.emit = instrumentation.schemas, instrumentation.emit
        self._tokens = instrumentation.tokens

    def register(self, event_classes: Iterable[type]) -> None:
        """Compile the schemas of event classes. Classes of installed plugins that name no namespace get the distribution's.

        Datasette accepts classes of which no schema can be compiled. For each, a warning is logged, and its events are emitted
        untyped: with the attributes that `properties()` returns.
        """
        for event_class in event_classes:
            namespace = namespace_of(event_class, self.schemas.namespace)
            try:
                self.schemas.register(event_class, namespace=namespace)
            except SchemaError as error:
                logger.warning("%s. Its events are emitted untyped, with what properties() returns.", error)
                self.schemas.register_untyped(event_class, namespace=namespace)

    def traced(self, handlers: Iterable[object]) -> list[object]:
        """Return token handlers whose operations are traced.

        Handlers built on heliograph's `TokenHandler` become instances of Datasette's class as well, which Datasette requires,
        and their rejections become Datasette's `TokenInvalid`.
        """
        return trace_handlers(handlers, self._tokens, base=TokenHandler, rejection_class=TokenInvalid)


def _problems_in_datasette(values: Mapping[str, object]) -> Iterator[str]:
    if values.get("validation") is Validation.STRICT:
        yield (
            "validation: 'strict' is not possible in Datasette, where an event is tracked after its write has been committed: "
            "the write would be reported as failed; use 'quarantine' or 'warn'"
        )


# Weak, so that a `Datasette` object of a test is not kept alive.
_instances: weakref.WeakKeyDictionary[Datasette, InstanceState] = weakref.WeakKeyDictionary()


def state_of(datasette: Datasette) -> InstanceState:
    """Return the state of a `Datasette` object; the first call creates it.

    Raises:
        SettingsError: See `InstanceState`.
    """
    instance = _instances.get(datasette)
    if instance is None:
        instance = _instances[datasette] = InstanceState(datasette)
    return instance
