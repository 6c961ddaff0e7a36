"""Releases in the forms of other tools: tables, trainers, annotation, evaluation.

`export.py` writes the files; every other module makes the content of some forms from rows that are read a part at a
time. May import everything up to `release`.
"""
