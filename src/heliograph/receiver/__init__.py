"""A small OTLP/HTTP receiver that keeps what arrives in SQLite: for demos and for looking, not for production."""
