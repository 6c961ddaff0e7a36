"""A small Hub on loopback, for the real clients of Hugging Face to talk to."""
