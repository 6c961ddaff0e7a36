"""Answers of the fake Hub to requests about one repository, and its refusals."""
