"""Backends: an embedded model, `transformers`, OpenAI-compatible servers and OpenAI's Batch API.

Only `personagen.builder.llm.connect` imports a backend, and only the one that the settings name: each may need heavy
packages. May import `personagen.builder.llm.requests` and `personagen.builder.core`.
"""
