"""Labelled emotional text from staged virtual personas, published as a Hugging Face dataset."""
