"""The version of the package, which is also the version of its instrumentation scope."""

__version__ = "0.1.0"
