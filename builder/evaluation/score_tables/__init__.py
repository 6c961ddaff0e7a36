"""Parts of the scores of a release: which measures are displayed, and what texts show of their personas."""
