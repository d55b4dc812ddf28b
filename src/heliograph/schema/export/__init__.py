"""Schemas in the forms that other tools read. All of them read the same model."""
