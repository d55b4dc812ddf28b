"""The settings of a host."""

from heliograph.settings.choices import (
    DATABASE,
    DIGESTS,
    SIGNED,
    OutboxFullPolicy,
    OutboxSync,
    OutboxWrite,
    Signal,
    SpanEventContent,
    Validation,
)
from heliograph.settings.environment import given_in, variable_name
from heliograph.settings.model import FIELDS, Settings, read_settings, settings_or_environment
from heliograph.settings.references import resolve_references

__all__ = [
    "DATABASE",
    "DIGESTS",
    "FIELDS",
    "SIGNED",
    "OutboxFullPolicy",
    "OutboxSync",
    "OutboxWrite",
    "Settings",
    "Signal",
    "SpanEventContent",
    "Validation",
    "given_in",
    "read_settings",
    "resolve_references",
    "settings_or_environment",
    "variable_name",
]
