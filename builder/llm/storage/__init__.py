"""Files of the journal: how they are opened, what a row is, and what can be read of a damaged file.

Used by `llm.journal` alone.
"""
