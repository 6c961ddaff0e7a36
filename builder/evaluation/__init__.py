"""Measure releases and compare conditions: metrics, judges, bias audit and claims."""
