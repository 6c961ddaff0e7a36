"""What a model writes around, instead of, or about a text, as patterns per language.

Imports `builder.core` and `personagen.metrics.texts`.
"""
