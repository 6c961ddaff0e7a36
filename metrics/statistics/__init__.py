"""Statistics shared by the metrics: intervals, paired tests, association, clustering, matching and projection.

Imports only the room `texts`.
"""
