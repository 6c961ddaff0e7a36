"""Render a release or a comparison as one self-contained HTML page."""
