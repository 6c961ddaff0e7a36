"""Files of persona sources: where they are, on disk or on the Hub, and their rows in batches."""
