"""Measures of emotional text; the `evaluate` modules arrive with the metrics extra."""
