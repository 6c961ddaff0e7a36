"""Columns of persona sources: which attributes they stand for, and the values of those."""
