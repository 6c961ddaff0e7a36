"""Statistics shared by the metrics: intervals, paired tests, association, matching and projection."""
