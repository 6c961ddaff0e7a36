"""Human-likeness of texts as judged by language models."""
