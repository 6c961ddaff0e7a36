"""Texts as inputs of metrics: corpora, references, words and embeddings."""
