"""The former name of the pytest plugin `pytest_heliograph`, for ``pytest -p heliograph.pytest_plugin``."""

pytest_plugins = ["pytest_heliograph"]
