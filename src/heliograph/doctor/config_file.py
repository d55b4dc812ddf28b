"""Read the exporters in the file of ``OTEL_CONFIG_FILE``, OpenTelemetry's declarative configuration.

Each exporter is converted to the environment variables with the same meaning, so that the same code reads and checks its endpoint as one
of the environment. The exporters read from the environment whatever the file does not set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from typing_extensions import assert_never

from heliograph.delivery.transport.destination import OtlpProtocol
from heliograph.sdk.declarative import load_file
from heliograph.sdk.exporters import TelemetrySignal

_PROTOCOLS: Final = {"otlp_http": OtlpProtocol.HTTP, "otlp_grpc": OtlpProtocol.GRPC}


@dataclass(frozen=True, kw_only=True)
class DeclaredExporter:
    """An exporter in the file.

    Attributes:
        signal: The signal that it exports.
        name: The name of its kind in the file, such as ``otlp_http`` or ``console``.
        variables: The environment variables with the same meaning; `None` if it does not export by OTLP.
    """

    signal: TelemetrySignal
    name: str
    variables: Mapping[str, str] | None


@dataclass(frozen=True, kw_only=True)
class ConfigFile:
    """The content of the file, as far as the doctor examines it.

    Attributes:
        is_disabled: True if it switches telemetry off.
        samples_nothing: True if its sampler drops all traces.
        exporters: The exporters.
    """

    is_disabled: bool
    samples_nothing: bool
    exporters: list[DeclaredExporter]

    @classmethod
    def load(cls, path: str) -> ConfigFile:
        """Return the content of the file.

        Raises:
            SettingsError: It cannot be used. The message quotes no value in it.
        """
        config = load_file(path)
        return cls(
            is_disabled=bool(config.disabled),
            samples_nothing=_samples_nothing(getattr(config.tracer_provider, "sampler", None)),
            exporters=[
                _exporter(signal, each) for signal in TelemetrySignal for each in _exporters_of(signal, config) if each
            ],
        )


def _samples_nothing(sampler: Any) -> bool:
    if sampler is None:
        return False
    root = getattr(sampler.parent_based, "root", None)
    return sampler.always_off is not None or getattr(root, "always_off", None) is not None


def _exporters_of(signal: TelemetrySignal, config: Any) -> Iterator[Any]:
    """Yield the exporters of a signal, as models of the package opentelemetry-configuration."""
    match signal:
        case TelemetrySignal.TRACES | TelemetrySignal.LOGS:
            provider = config.tracer_provider if signal is TelemetrySignal.TRACES else config.logger_provider
            for processor in provider.processors if provider else ():
                yield getattr(processor.batch or processor.simple, "exporter", None)
        case TelemetrySignal.METRICS:
            for reader in config.meter_provider.readers if config.meter_provider else ():
                yield getattr(reader.periodic or reader.pull, "exporter", None)
        case _:
            assert_never(signal)


def _exporter(signal: TelemetrySignal, model: Any) -> DeclaredExporter:
    for name, protocol in _PROTOCOLS.items():
        if (found := getattr(model, name, None)) is not None:
            return DeclaredExporter(signal=signal, name=name, variables=_variables(signal, protocol, found))
    set_up = {**vars(model), **model.additional_properties}
    names = [name for name, value in set_up.items() if value is not None and name != "additional_properties"]
    return DeclaredExporter(signal=signal, name=next(iter(names), "none"), variables=None)


def _variables(signal: TelemetrySignal, protocol: OtlpProtocol, exporter: Any) -> dict[str, str]:
    values = {
        "PROTOCOL": protocol.value,
        "ENDPOINT": exporter.endpoint,
        "HEADERS": _headers(exporter),
        "COMPRESSION": exporter.compression,
        "CERTIFICATE": getattr(exporter.tls, "ca_file", None),
        "CLIENT_CERTIFICATE": getattr(exporter.tls, "cert_file", None),
        "CLIENT_KEY": getattr(exporter.tls, "key_file", None),
        "INSECURE": "true" if getattr(exporter.tls, "insecure", None) else None,
    }
    prefix = f"OTEL_EXPORTER_OTLP_{signal.value.upper()}_"
    return {f"{prefix}{name}": value for name, value in values.items() if value is not None}


def _headers(exporter: Any) -> str | None:
    if exporter.headers is None and exporter.headers_list is None:
        return None
    listed = [pair.partition("=")[::2] for pair in (exporter.headers_list or "").split(",") if "=" in pair]
    pairs = dict(listed) | {pair.name: pair.value or "" for pair in exporter.headers or ()}
    return ",".join(f"{quote(name.strip())}={quote(value.strip())}" for name, value in pairs.items())
