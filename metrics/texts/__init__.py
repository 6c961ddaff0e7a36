"""Texts as inputs of metrics: words, languages, emotion words, references, corpora and embeddings.

Imports no other room. It exports nothing, because `words` and `language` are importable without numpy.
"""
