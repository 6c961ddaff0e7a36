"""Realism of a corpus against a real one."""
