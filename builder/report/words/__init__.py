"""Charts in words: one sentence of what is seen in each, a table of its data, and example texts."""
