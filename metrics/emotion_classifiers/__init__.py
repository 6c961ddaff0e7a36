"""Classifiers that predict the emotion of a text."""
