"""The version of the code; releases carry a version of their own."""

__version__ = "0.1.0"
