"""Situations: the bank of events and their settings, and the assignment of events to rows."""
