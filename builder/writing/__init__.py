"""Turn planned rows into accepted rows: prompts, attempts, checks, duplicates and order."""
