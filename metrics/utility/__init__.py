"""Usefulness of labelled texts for training classifiers."""
