"""Measure a release, audit it for bias, and compare ways of conditioning a model on personas.

`evaluate` computes the metrics of `personagen.metrics` on a release, `audit` looks for associations of its texts with
attributes of their personas, and `compare` writes and measures the arms of an experiment. Results are tables of frozen
records (`scores`, `audit_results`, `comparison`); they become JSON only in the files of a release or a comparison.

May import the flow `generate`, the rooms below it, and `personagen.metrics`; not `hub`. Verbs are imported from their
modules: a name such as `evaluate` here would hide the module of the same name.
"""
