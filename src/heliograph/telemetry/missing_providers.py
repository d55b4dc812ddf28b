"""Report events that are not emitted because no OpenTelemetry provider is set.

Only `heliograph.configure` and the Datasette plugin set providers; a `Host` emits to those that the program sets. The first event that
needs a missing one logs a warning with the fix for that kind of host.

The next flush returns False, if a part of telemetry is set up: another provider is set, or the environment asks for export. A program
with neither uses no telemetry, as OpenTelemetry's API allows for every program: the warning is all that it gets.

Threads: any number of threads report. `_has_lost` and `_warned` change without a lock: at worst, a warning is logged twice, or two
flushes at the same moment report the same events.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from typing import Final, TypeAlias

from heliograph.runtime.fork import after_fork_in_child
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE
from heliograph.settings import Signal
from heliograph.telemetry.observers import provider_is_needed
from heliograph.telemetry.providers import Providers, is_disabled

CONFIG_FILE: Final = "OTEL_CONFIG_FILE"
"""The variable of OpenTelemetry's declarative configuration, which may set any provider."""

_ASKING: Final = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    CONFIG_FILE,
    *(f"OTEL_{signal}_EXPORTER" for signal in ("LOGS", "TRACES", "METRICS")),
    *(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT" for signal in ("LOGS", "TRACES", "METRICS")),
)

Advice: TypeAlias = Callable[[Mapping[str, str]], str]
"""Returns one sentence, given the environment: the way to set a provider for this kind of host."""

logger: Final = SafeLogger(SCOPE)


class MissingProviders:
    """Logs a warning for each signal whose provider is missing, and remembers that events were lost.

    Args:
        signals: The signals of the settings.
        providers: The providers of the host.
        advice: The fix.
    """

    def __init__(self, signals: Collection[Signal], providers: Providers, advice: Advice) -> None:
        self._signals = signals
        self._providers = providers
        self._advice = advice
        self._warned: set[Signal] = set()
        self._is_intended = is_disabled(os.environ)
        self._has_lost = False
        after_fork_in_child(self._forget)

    def _forget(self) -> None:
        self._has_lost = False  # the parent reports its own events

    def report(self, signal: Signal, provider: str, *, is_lost: bool) -> None:
        """Report an event that is not emitted as a signal.

        Args:
            signal: The signal.
            provider: The name of the provider that it needs.
            is_lost: True if the event is missing there.
        """
        if self._is_intended or not provider_is_needed():
            return
        self._has_lost = self._has_lost or is_lost
        if signal not in self._warned:
            self._warned.add(signal)
            self._warn(signal, provider)

    def _warn(self, signal: Signal, provider: str) -> None:
        can_remove = len(self._signals) > 1
        intended = f"remove {signal.value!r} from HELIOGRAPH_SIGNALS" if can_remove else "set OTEL_SDK_DISABLED=true"
        logger.warning(
            "No %s is set, so events are not emitted as %r. %s If this is intended, %s.",
            provider,
            signal.value,
            self._advice(os.environ),
            intended,
        )

    def take(self) -> bool:
        """Return True if events were lost since the last call, and a part of telemetry is set up."""
        lost, self._has_lost = self._has_lost, False
        return lost and (self._providers.has_any() or variable_that_asks_for_export(os.environ) is not None)


def variable_that_asks_for_export(environ: Mapping[str, str]) -> str | None:
    """Return the name of a variable that names an endpoint or an exporter, for any signal, or a file that may do so."""
    return next((name for name in _ASKING if environ.get(name)), None)


def advice_for_host(environ: Mapping[str, str]) -> str:
    """Return the way to set a provider for a `heliograph.Host`."""
    call = "heliograph.configure(), after any other setup of OpenTelemetry: it sets the providers that are missing"
    # This comes first, because with a file the other variables have no effect.
    if environ.get(CONFIG_FILE):
        return f"Add it to the file of {CONFIG_FILE}, and make the host with heliograph.configure()."
    variable = variable_that_asks_for_export(environ)
    if variable is None:
        return f"Make the host with {call}."
    return f"{variable} is set, but Host() does not read it. Make the host with {call}."


def advice_for_datasette(environ: Mapping[str, str]) -> str:
    """Return the way to set a provider in Datasette."""
    if environ.get(CONFIG_FILE):
        return f"Add it to the file of {CONFIG_FILE}."
    return (
        "Set OTEL_EXPORTER_OTLP_ENDPOINT before Datasette starts: the plugin then sets the providers that are missing."
    )
