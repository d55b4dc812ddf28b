"""Providers from the standard environment, for a program that owns its process. Nothing else imports the SDK."""
