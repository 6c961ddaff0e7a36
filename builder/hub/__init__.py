"""Publish releases and metrics on the Hugging Face Hub, and verify them."""
