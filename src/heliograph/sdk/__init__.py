"""OpenTelemetry's SDK, set up from the standard environment variables, for a program that owns its process.

Apart from the outbox's processor (`heliograph.delivery`), nothing else in heliograph imports the SDK. `heliograph.configure`
imports it when it is called.
"""
