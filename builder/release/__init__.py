"""Write and read release folders: columns, shards, manifest and dataset card."""
