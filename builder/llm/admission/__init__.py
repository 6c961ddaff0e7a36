"""Admission of requests: how many are in flight, how many per minute, within which budget, and when to retry."""
