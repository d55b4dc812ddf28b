"""Integrations of heliograph with frameworks."""
