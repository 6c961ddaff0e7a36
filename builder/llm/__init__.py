"""Turn requests into durable replies: dispatch, rate limits, budget, retries and the journal."""
