"""Connect to language models: OpenAI-compatible servers, the Batch API, transformers and an embedded model."""
