"""Personas: attribute tables with their coherence rules, and the draws of the first two layers from them."""
