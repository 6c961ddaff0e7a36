"""The chat completions protocol of OpenAI-compatible servers, as pure functions for the chat and batch backends."""
