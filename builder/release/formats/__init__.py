"""Formats of files that others may have written: plain JSON, and the manifest as a type."""
