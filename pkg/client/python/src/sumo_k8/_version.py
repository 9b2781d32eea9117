"""The version of this package, which is that of the HTTP API that it was made for."""

__version__ = "1.0.0"
