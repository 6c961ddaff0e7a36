"""A fake Hub on loopback for the real clients of Hugging Face."""
