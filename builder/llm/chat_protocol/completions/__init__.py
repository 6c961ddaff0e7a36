"""What the body of a chat completion says: its encoding, errors, messages, ends and tokens."""
