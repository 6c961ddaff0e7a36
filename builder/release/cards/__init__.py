"""Render what describes a release to its readers: the dataset card with its citation, and croissant.json."""
